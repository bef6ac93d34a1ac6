//! Keeps a session with an OAuth 2.0 authorization server, by the refresh grant of RFC 6749
//! section 6.
//!
//! ```sh
//! cargo run --example oauth2_refresher
//! ```
//!
//! needs nothing else: a tiny token endpoint and a gRPC service that wants its tokens run in here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Form, Json, Router,
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse as _, Response},
    routing::post,
};
use client_sdk::{
    RefreshFuture, RefreshRequest, Refresher, Renewal, ReplayForeign, Session, SessionState,
    TokenPair,
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tonic::{
    Request, Status,
    service::interceptor::InterceptedService,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceBuilder;

/// Spends refresh tokens at a token endpoint. It neither waits nor retries: the session does.
///
/// Such a server knows no idempotency keys. If it rotates refresh tokens and an answer of its is
/// lost, the repeated attempt finds its token spent, and the session is at the server's mercy.
#[derive(Debug)]
struct OAuth2 {
    http: reqwest::Client,
    token_url: String,
    client_id: String,
}

/// RFC 6749 section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

/// RFC 6749 section 5.2.
#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Refresher for OAuth2 {
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_> {
        Box::pin(async move {
            self.ask(request.refresh_token()).await.unwrap_or_else(|error| Renewal::Unreachable {
                message: error.without_url().to_string(),
                retry_after: None,
            })
        })
    }
}

impl OAuth2 {
    async fn ask(&self, refresh_token: &str) -> Result<Renewal, reqwest::Error> {
        let grant = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", &self.client_id),
        ];
        let answer = self.http.post(&self.token_url).form(&grant).send().await?;
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        if status.is_success() {
            return Ok(Renewal::Renewed(answer.json::<Granted>().await?.into()));
        }
        // Only `invalid_grant` speaks of this session. Other errors are a misconfiguration or a bad
        // moment, and a 400 without a word in JSON is not even the authorization server's.
        if status.is_client_error()
            && let Ok(Denied { error }) = answer.json().await
            && error == "invalid_grant"
        {
            return Ok(Renewal::Rejected { reason: error });
        }
        let message = format!("the token endpoint answered {status}");
        Ok(Renewal::Unreachable { message, retry_after })
    }
}

impl From<Granted> for TokenPair {
    fn from(granted: Granted) -> Self {
        // A server that does not rotate sends no refresh token: left empty, the old one stays.
        let pair = Self::new(granted.access_token)
            .refresh_token(granted.refresh_token.unwrap_or_default());
        match granted.expires_in {
            Some(seconds) => pair.access_expires_in(Duration::from_secs(seconds)),
            None => pair,
        }
    }
}

/// In seconds, as token endpoints send it with a 429 or a 503; a date is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

// On one thread all three calls are sent before the first of them is answered.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = Arc::new(Mutex::new(Issuer::default()));
    let refresher = OAuth2 {
        http: reqwest::Client::new(),
        token_url: serve_token_endpoint(Arc::clone(&issuer)).await?,
        client_id: "reports".to_owned(),
    };
    let session = Session::custom(refresher)
        // The service checks tokens before it does anything, but gives no reasons.
        .replay_foreign(ReplayForeign::Always)
        .connect()
        .await?;
    // As an authorization code was exchanged for them, a while ago.
    session.set_tokens(TokenPair::new("access-0").refresh_token("refresh-0")).await?;
    let channel = ServiceBuilder::new()
        .layer(session.layer())
        .service(Endpoint::from_shared(serve_resource(Arc::clone(&issuer)).await?)?.connect_lazy());
    let client = HealthClient::new(channel);
    let call = || {
        let mut client = client.clone();
        async move { client.check(HealthCheckRequest::default()).await }
    };

    let (one, two, three) = tokio::join!(call(), call(), call());
    let failed = [one, two, three].iter().filter(|answer| answer.is_err()).count();
    let counted = std::mem::take(&mut lock(&issuer).counted);
    println!(
        "three calls at once: {} refused, {} token request, {} replayed, {failed} failed",
        counted.refused, counted.token_requests, counted.served
    );

    lock(&issuer).run_out();
    lock(&issuer).busy = true;
    let failed = usize::from(call().await.is_err());
    let counted = std::mem::take(&mut lock(&issuer).counted);
    println!(
        "busy once, Retry-After 1 s: {} token requests, {failed} failed",
        counted.token_requests
    );

    lock(&issuer).rotates = false;
    session.refresh().await?;
    session.refresh().await?;
    println!("no new refresh token in the answer: the old one has served again");

    lock(&issuer).revoke();
    let failed = usize::from(call().await.is_err());
    if let SessionState::SignedOut { reason } = &*session.state().borrow() {
        println!("the grant is revoked: {failed} failed, signed out ({reason})");
    }
    Ok(())
}

/// What a real authorization server has in its database.
#[derive(Debug)]
struct Issuer {
    minted: u32,
    access_token: String,
    refresh_token: String,
    rotates: bool,
    /// The next request comes at a bad moment.
    busy: bool,
    counted: Counted,
}

#[derive(Debug, Default)]
struct Counted {
    token_requests: u32,
    refused: u32,
    served: u32,
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            minted: 0,
            access_token: String::new(),
            refresh_token: "refresh-0".to_owned(),
            rotates: true,
            busy: false,
            counted: Counted::default(),
        }
    }
}

impl Issuer {
    fn run_out(&mut self) {
        self.access_token.clear();
    }

    fn revoke(&mut self) {
        self.run_out();
        self.refresh_token.clear();
    }

    fn grant(&mut self, form: &HashMap<String, String>) -> Response {
        let field = |name| form.get(name).map(String::as_str);
        self.counted.token_requests += 1;
        if std::mem::take(&mut self.busy) {
            return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response();
        }
        if field("grant_type") != Some("refresh_token")
            || field("refresh_token") != Some(&self.refresh_token)
        {
            let denied = serde_json::json!({ "error": "invalid_grant" });
            return (StatusCode::BAD_REQUEST, Json(denied)).into_response();
        }
        self.minted += 1;
        self.access_token = format!("access-{}", self.minted);
        let mut granted = serde_json::json!({
            "access_token": self.access_token, "token_type": "Bearer", "expires_in": 300,
        });
        if self.rotates {
            self.refresh_token = format!("refresh-{}", self.minted);
            granted["refresh_token"] = self.refresh_token.clone().into();
        }
        Json(granted).into_response()
    }

    fn check(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let bearer = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if bearer.and_then(|value| value.strip_prefix("Bearer ")) == Some(&self.access_token) {
            self.counted.served += 1;
            return Ok(request);
        }
        self.counted.refused += 1;
        Err(Status::unauthenticated("the access token is not good"))
    }
}

fn lock(issuer: &Mutex<Issuer>) -> std::sync::MutexGuard<'_, Issuer> {
    issuer.lock().expect("nothing panics while holding it")
}

/// A token endpoint on a free port; its URL.
async fn serve_token_endpoint(issuer: Arc<Mutex<Issuer>>) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/token", listener.local_addr()?);
    let answer =
        move |Form(form): Form<HashMap<String, String>>| async move { lock(&issuer).grant(&form) };
    let endpoint = Router::new().route("/token", post(answer));
    tokio::spawn(async { axum::serve(listener, endpoint).await });
    Ok(url)
}

/// A gRPC service on a free port that takes the newest access token alone; its URL.
async fn serve_resource(issuer: Arc<Mutex<Issuer>>) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (_, health) = tonic_health::server::health_reporter();
    let guarded = InterceptedService::new(health, move |request| lock(&issuer).check(request));
    let server = Server::builder().add_service(guarded);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(url)
}
