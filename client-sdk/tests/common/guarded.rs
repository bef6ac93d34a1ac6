//! A guard over sources that answer at once.

use std::{sync::Mutex, time::Duration};

use client_sdk::guard::{
    Entry, FetchFuture, KeySource, Keys, Kind, News, Revocation, RevocationSource, WatchFuture,
};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use token::{AccessClaims, SigningKey, clock::Timestamp};
use tokio::sync::mpsc;

#[derive(Debug)]
pub(crate) struct OneKey(pub(crate) Keys);

impl KeySource for OneKey {
    fn fetch(&self) -> FetchFuture<'_> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Tells what is sent to it.
#[derive(Debug)]
pub(crate) struct Told(Mutex<Option<mpsc::UnboundedReceiver<News>>>);

impl Told {
    pub(crate) fn new() -> (mpsc::UnboundedSender<News>, Self) {
        let (tell, told) = mpsc::unbounded_channel();
        (tell, Self(Mutex::new(Some(told))))
    }
}

impl RevocationSource for Told {
    fn watch(&self, _: String) -> WatchFuture<'_> {
        let mut told = self.0.lock().unwrap().take().unwrap();
        let news = stream::poll_fn(move |cx| told.poll_recv(cx).map(|news| news.map(Ok)));
        Box::pin(async { Ok(Box::pin(news) as _) })
    }
}

/// These sessions are revoked, and no others.
pub(crate) fn revoked(session_ids: impl Iterator<Item = String>, now: Timestamp) -> News {
    let until = now + Duration::from_secs(900);
    let revocations = session_ids
        .map(|session_id| Revocation { entry: Entry::Session { session_id }, until })
        .collect();
    News { snapshot: true, revocations, cursor: "1".into() }
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
