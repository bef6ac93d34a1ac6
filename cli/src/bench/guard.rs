//! Calls to a guarded service, against the same service without its guard.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use client_sdk::guard::{FetchFuture, Guard, GuardLayer, KeyCache, KeySource, Keys, Kind, Policy};
use evergreen_proto::api::v1::{
    ListTreesRequest, ListTreesResponse, api_service_client::ApiServiceClient,
};
use token::{
    AccessClaims, SigningKey,
    clock::{Clock as _, SystemClock, Timestamp},
    entropy::{Entropy, SystemEntropy},
};
use tonic::{Status, transport::Channel};

use super::{
    Bearer, bearing, connect,
    echo::Echo,
    load::{Call, Comparison, compare},
};
use crate::lab::Failure;

/// How good the tokens of the calls are known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    /// A few, again and again.
    Known,
    /// Each call brings one that was never seen.
    New,
    /// There is no guard. One Ed25519 signature, of as much as a token is, is verified for each call:
    /// the least that new tokens can cost.
    Unread,
}

/// Calls per second with the guard, against the same calls without it.
pub(super) async fn measure(
    tokens: Tokens,
    in_flight: usize,
    rounds: usize,
    round: Duration,
) -> Result<Comparison, Failure> {
    let clock = Arc::new(SystemClock::new());
    let key = SigningKey::generate(&SystemEntropy);
    let keys = [key.public().clone()].into_iter().collect();
    let keys =
        KeyCache::new(OneKey(Keys { keys, max_age: Duration::from_secs(300) }), clock.clone());
    let guard = Guard::new(ISSUER, ISSUER, keys);
    let policy = Policy::deny_all().authenticated(LIST_TREES);
    let answer = ListTreesResponse::default();
    let guarded = match tokens {
        Tokens::Known | Tokens::New => {
            Echo::<ListTreesRequest, _>::behind(GuardLayer::new(guard, policy), answer).await?
        }
        Tokens::Unread => Echo::<ListTreesRequest, _>::working(verification()?, answer).await?,
    };
    let open = Echo::<ListTreesRequest, _>::start(ListTreesResponse::default()).await?;

    // Minted beforehand, and so many that a token that comes round again has been forgotten.
    let count = match tokens {
        Tokens::Known => in_flight,
        Tokens::New | Tokens::Unread => NEW_TOKENS,
    };
    let bearers = Arc::new(mint(&key, clock.now(), count)?);
    let next = Arc::new(AtomicUsize::new(0));
    let calling = |channel: &Channel| Calling {
        client: ApiServiceClient::new(channel.clone()),
        bearers: Arc::clone(&bearers),
        next: Arc::clone(&next),
    };
    let (guarded_channel, open_channel) =
        (connect(&guarded.url()).await?, connect(&open.url()).await?);
    let subject = |_| calling(&guarded_channel);
    let baseline = |_| calling(&open_channel);
    compare(in_flight, rounds, round, subject, baseline).await
}

/// Verifies the same signature again and again.
fn verification() -> Result<impl Fn() + Clone + Send + 'static, Failure> {
    let message = [b'e'; 460];
    let seed: [u8; 32] = (&SystemEntropy as &dyn Entropy).array();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| "32 bytes are a seed")?;
    let signature = pair.sign(&message);
    let key = ParsedPublicKey::new(&ED25519, pair.public_key())?;
    Ok(move || {
        let verdict = key.verify_sig(&message, signature.as_ref());
        assert!(verdict.is_ok(), "it was signed by this key");
    })
}

fn mint(key: &SigningKey, now: Timestamp, count: usize) -> Result<Vec<Bearer>, Failure> {
    let bearer = |n: usize| {
        let token = key.sign(&AccessClaims {
            iss: ISSUER.into(),
            aud: ISSUER.into(),
            sub: format!("0199ffff-7000-7000-8000-{n:012x}"),
            client_id: ISSUER.into(),
            sid: format!("0199fffe-7000-7000-8000-{n:012x}"),
            jti: format!("0199fffd-7000-7000-8000-{n:012x}"),
            iat: now.unix_seconds(),
            exp: now.unix_seconds() + 3_600,
            roles: vec!["editor".into()],
            kind: Kind::User,
            roles_version: 0,
        });
        Ok(format!("Bearer {token}").parse()?)
    };
    (0..count).map(bearer).collect()
}

/// A caller who brings the next token.
struct Calling {
    client: ApiServiceClient<Channel>,
    bearers: Arc<Vec<Bearer>>,
    next: Arc<AtomicUsize>,
}

impl Call for Calling {
    async fn call(&mut self) -> Result<(), Status> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.bearers.len();
        let request = bearing(ListTreesRequest::default(), &self.bearers[number]);
        self.client.list_trees(request).await.map(drop)
    }
}

/// Publishes one key for ever.
#[derive(Debug)]
struct OneKey(Keys);

impl KeySource for OneKey {
    fn fetch(&self) -> FetchFuture<'_> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

const ISSUER: &str = "evergreen";
const LIST_TREES: &str = "/evergreen.api.v1.ApiService/ListTrees";
/// Some times what a guard remembers.
const NEW_TOKENS: usize = 100_000;
