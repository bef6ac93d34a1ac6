//! A guard over sources that answer at once.

use std::time::Duration;

use client_sdk::guard::{
    Entry, FetchFuture, KeySource, Keys, Kind, News, Revocation, RevocationSource, WatchFuture,
};
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use token::{AccessClaims, SigningKey, clock::Timestamp};

#[derive(Debug)]
pub(crate) struct OneKey(pub(crate) Keys);

impl KeySource for OneKey {
    fn fetch(&self) -> FetchFuture<'_> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Tells of so many revoked sessions at once, and then nothing.
#[derive(Debug)]
pub(crate) struct Revoked(pub(crate) usize, pub(crate) Timestamp);

impl RevocationSource for Revoked {
    fn watch(&self, _: String) -> WatchFuture<'_> {
        let revocations = (0..self.0)
            .map(|n| Revocation {
                entry: Entry::Session { session_id: session_id(n) },
                until: self.1 + Duration::from_secs(900),
            })
            .collect();
        let news = News { snapshot: true, revocations, cursor: "1".into() };
        Box::pin(async {
            let news = stream::iter([Ok(news)]).chain(stream::pending());
            Ok(Box::pin(news) as _)
        })
    }
}

/// As long as an id of Evergreen's is.
fn session_id(n: usize) -> String {
    format!("0199{:04x}-7000-7000-8000-{n:012x}", n % 65_536)
}

/// Calls of as many users.
pub(crate) fn bearers(key: &SigningKey, now: Timestamp, tokens: usize) -> Vec<HeaderMap> {
    let bearer = |n: usize| {
        let token = key.sign(&AccessClaims {
            iss: "evergreen".into(),
            aud: "evergreen".into(),
            sub: format!("user-{n}"),
            client_id: "evergreen".into(),
            sid: format!("live-{n}"),
            jti: n.to_string(),
            iat: now.unix_seconds(),
            exp: now.unix_seconds() + 900,
            roles: vec!["editor".into()],
            kind: Kind::User,
            roles_version: 0,
        });
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    };
    (0..tokens).map(bearer).collect()
}
