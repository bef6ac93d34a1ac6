//! Where keys come from.

use std::{fmt, pin::Pin, time::Duration};

use evergreen_proto::auth::v1::{
    GetJwksRequest, GetJwksResponse, auth_service_client::AuthServiceClient,
};
use thiserror::Error;
use token::{KeySet, PublicKey};
use tonic::transport::Channel;

use crate::trace::stamped;

/// Publishes the keys that verify access tokens.
///
/// The cache calls it from one task at a time and gives up after a few seconds.
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// The keys as they are now.
    fn fetch(&self) -> FetchFuture<'_>;
}

/// What [`KeySource::fetch`] returns.
pub type FetchFuture<'a> = Pin<Box<dyn Future<Output = Result<Keys, FetchError>> + Send + 'a>>;

/// Keys as a source published them.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The keys.
    pub keys: KeySet,
    /// How long they may be kept without asking again.
    pub max_age: Duration,
}

/// Why no keys were had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The answer held no key of a kind that this crate knows. Trusting an empty set would refuse
    /// everybody, so it counts as no answer.
    #[error("the answer holds no usable key")]
    Empty,
    /// The source did not answer.
    #[error("the keys could not be fetched")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The keys that AuthService's `GetJwks` publishes.
#[derive(Clone, Debug)]
pub struct AuthServiceKeys(AuthServiceClient<Channel>);

impl AuthServiceKeys {
    /// Asks over `channel`, which should connect lazily: the guard then starts before AuthService
    /// does. Give it no layer that attaches tokens.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self(AuthServiceClient::new(channel))
    }
}

impl KeySource for AuthServiceKeys {
    fn fetch(&self) -> FetchFuture<'_> {
        let mut client = self.0.clone();
        Box::pin(async move {
            let answer = client
                .get_jwks(stamped(GetJwksRequest {}))
                .await
                .map_err(|status| FetchError::Unreachable(Box::new(status)))?;
            Keys::try_from(answer.into_inner())
        })
    }
}

impl TryFrom<GetJwksResponse> for Keys {
    type Error = FetchError;

    fn try_from(answer: GetJwksResponse) -> Result<Self, FetchError> {
        // A set may hold keys of kinds to come: those are skipped (RFC 7517 section 5).
        let keys: KeySet = answer
            .keys
            .iter()
            .filter(|key| key.kty == "OKP" && key.crv == "Ed25519")
            .filter(|key| matches!(key.r#use.as_str(), "" | "sig"))
            .filter_map(|key| PublicKey::from_jwk(&key.kid, &key.x).ok())
            .collect();
        if keys.is_empty() {
            return Err(FetchError::Empty);
        }
        let max_age = answer.max_age.and_then(|age| Duration::try_from(age).ok());
        Ok(Self { keys, max_age: max_age.unwrap_or(DEFAULT_MAX_AGE) })
    }
}

/// For a source that does not say.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use evergreen_proto::auth::v1::JsonWebKey;
    use token::{SigningKey, entropy::SeededEntropy};

    use super::*;

    fn jwk(seed: u64) -> JsonWebKey {
        let key = SigningKey::generate(&SeededEntropy::new(seed));
        JsonWebKey {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            alg: "EdDSA".into(),
            r#use: "sig".into(),
            kid: key.public().kid().to_owned(),
            x: key.public().x(),
        }
    }

    #[test]
    fn keys_of_other_kinds_are_skipped() {
        let good = jwk(1);
        let keys = vec![
            JsonWebKey { kty: "RSA".into(), ..jwk(2) },
            JsonWebKey { crv: "X25519".into(), ..jwk(3) },
            JsonWebKey { r#use: "enc".into(), ..jwk(4) },
            JsonWebKey { x: "short".into(), ..jwk(5) },
            JsonWebKey { kid: String::new(), ..jwk(6) },
            good.clone(),
        ];
        let kids: Vec<_> = keys.iter().map(|key| key.kid.clone()).collect();
        let set = Keys::try_from(GetJwksResponse { keys, max_age: None }).unwrap();
        assert_eq!(set.max_age, DEFAULT_MAX_AGE);
        for kid in kids {
            assert_eq!(set.keys.contains(&kid), kid == good.kid, "{kid}");
        }
    }

    #[test]
    fn an_answer_without_a_usable_key_is_no_answer() {
        for keys in [vec![], vec![JsonWebKey { kty: "EC".into(), ..jwk(1) }]] {
            let answer = GetJwksResponse { keys, max_age: None };
            assert!(matches!(Keys::try_from(answer), Err(FetchError::Empty)));
        }
    }
}
