//! What AuthService's operations port answers beside what every one does.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use evergreen_proto::auth::v1::JsonWebKey;
use serde_json::{Value, json};
use token::PublicKey;

use crate::{app::App, rpc};

/// The public keys, those of `GetJwks`.
pub(super) fn routes(app: Arc<App>) -> Router {
    Router::new().route("/.well-known/jwks.json", get(jwks)).with_state(app)
}

async fn jwks(State(app): State<Arc<App>>) -> impl IntoResponse {
    let (keys, max_age) = app.published_keys().await;
    let headers = [
        (CONTENT_TYPE, "application/jwk-set+json".to_owned()),
        // In whole seconds, and rounded down: nobody may keep keys for longer than that.
        (CACHE_CONTROL, format!("public, max-age={}", max_age.as_secs())),
    ];
    (headers, document(&keys, max_age).to_string())
}

/// A JWK Set (RFC 7517 section 5), member by member what `GetJwks` answers.
fn document(keys: &[PublicKey], max_age: Duration) -> Value {
    let keys = rpc::jwks(keys, max_age).keys.into_iter();
    let keys = keys.map(|JsonWebKey { kty, crv, alg, r#use, kid, x }| {
        json!({ "kty": kty, "crv": crv, "alg": alg, "use": r#use, "kid": kid, "x": x })
    });
    json!({ "keys": keys.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests;
