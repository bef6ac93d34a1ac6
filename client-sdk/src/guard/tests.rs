//! The guard over a scripted source: who is let through, and how often keys are fetched.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::{FutureExt as _, future::join_all};
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use token::{
    AccessClaims, SigningKey,
    clock::{Clock, ManualClock, Timestamp},
    entropy::SeededEntropy,
};
use tokio::sync::Semaphore;
use tonic::{Code, Status, body::Body, service::Interceptor};
use tonic_types::StatusExt as _;
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer as _;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const MAX_AGE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(5);

/// Answers with the keys of these seeds, or not at all; counts how often it was asked.
#[derive(Debug)]
struct Script {
    fetches: AtomicUsize,
    seeds: Mutex<Option<Vec<u64>>>,
    gate: Semaphore,
}

#[derive(Clone, Debug)]
struct Source(Arc<Script>);

impl KeySource for Source {
    fn fetch(&self) -> FetchFuture<'_> {
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            let _passed = self.0.gate.acquire().await.unwrap();
            let seeds = self.0.seeds.lock().unwrap().clone();
            let seeds = seeds.ok_or_else(|| FetchError::Unreachable("down".into()))?;
            let keys = seeds.into_iter().map(|seed| key(seed).public().clone()).collect();
            Ok(Keys { keys, max_age: MAX_AGE })
        })
    }
}

struct Bench {
    script: Arc<Script>,
    clock: Arc<ManualClock>,
    guard: Guard,
}

impl Bench {
    /// A guard whose source is up, open, and publishes key 1.
    fn new() -> Self {
        let script = Arc::new(Script {
            fetches: AtomicUsize::new(0),
            seeds: Mutex::new(Some(vec![1])),
            gate: Semaphore::new(1),
        });
        let clock = Arc::new(ManualClock::at(NOW));
        let keys = KeyCache::new(Source(script.clone()), clock.clone())
            .lookup_interval(INTERVAL)
            .entropy(Arc::new(SeededEntropy::new(5)));
        Self { guard: Guard::new("issuer", "audience", keys), script, clock }
    }

    fn publish(&self, seeds: Option<&[u64]>) {
        *self.script.seeds.lock().unwrap() = seeds.map(<[u64]>::to_vec);
    }

    fn fetches(&self) -> usize {
        self.script.fetches.load(Ordering::SeqCst)
    }

    /// What becomes of a fresh token signed by the key of this seed.
    async fn call(&self, seed: u64) -> Result<Caller, Refusal> {
        self.present(&self.token(seed)).await
    }

    async fn present(&self, token: &str) -> Result<Caller, Refusal> {
        self.guard.authenticate(&bearer(token)).await
    }

    fn token(&self, seed: u64) -> String {
        key(seed).sign(&claims(self.clock.now()))
    }
}

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&SeededEntropy::new(seed))
}

fn claims(now: Timestamp) -> AccessClaims {
    AccessClaims {
        iss: "issuer".into(),
        aud: "audience".into(),
        sub: "user".into(),
        client_id: "evergreen".into(),
        sid: "session".into(),
        jti: "1".into(),
        iat: now.unix_seconds(),
        exp: now.unix_seconds() + 900,
        roles: vec!["editor".into()],
        kind: Kind::User,
        roles_version: 0,
    }
}

fn bearer(token: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(AUTHORIZATION, value);
    headers
}

fn unavailable() -> Result<Caller, Refusal> {
    Err(Refusal::KeysUnavailable { retry_after: KeyCache::RETRY_INTERVAL })
}

#[tokio::test]
async fn fifty_callers_at_once_make_one_fetch() {
    let bench = Bench::new();
    let gate = bench.script.gate.acquire().await.unwrap();
    let callers = join_all((0..50).map(|_| bench.call(1)));
    // `join!` polls every caller before it lets the source answer.
    let (results, ()) = tokio::join!(callers, async { drop(gate) });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 50);
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test]
async fn fifty_callers_share_one_failure_and_nobody_is_rejected() {
    let bench = Bench::new();
    bench.publish(None);
    let results = join_all((0..50).map(|_| bench.call(1))).await;
    assert!(results.into_iter().all(|result| result == unavailable()));
    assert_eq!(bench.fetches(), 1);
    // Within the retry interval it is not even asked.
    assert_eq!(bench.call(1).await, unavailable());
    assert_eq!(bench.fetches(), 1);
    bench.publish(Some(&[1]));
    bench.clock.advance(KeyCache::RETRY_INTERVAL);
    assert!(bench.call(1).await.is_ok());
    assert_eq!(bench.fetches(), 2);
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_the_fetch_to_the_others() {
    let bench = Bench::new();
    let gate = bench.script.gate.acquire().await.unwrap();
    assert!(bench.call(1).now_or_never().is_none());
    let (second, ()) = tokio::join!(bench.call(1), async { drop(gate) });
    assert!(second.is_ok());
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_by_one_fetch() {
    let bench = Bench::new();
    assert!(bench.call(1).await.is_ok());
    bench.publish(Some(&[1, 2]));
    bench.clock.advance(INTERVAL);
    let results = join_all((0..50).map(|_| bench.call(2))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(bench.fetches(), 2);
}

// Fault 62.
#[tokio::test]
async fn made_up_key_names_cause_one_fetch_an_interval() {
    let bench = Bench::new();
    assert!(bench.call(1).await.is_ok());
    for round in 0..4 {
        bench.clock.advance(INTERVAL - Duration::from_millis(1));
        for seed in 100..150 {
            assert_eq!(bench.call(seed).await, Err(Refusal::Invalid));
        }
        assert_eq!(bench.fetches(), 1 + round, "before the interval is over");
        bench.clock.advance(Duration::from_millis(1));
        for seed in 100..150 {
            assert_eq!(bench.call(seed).await, Err(Refusal::Invalid));
        }
        assert_eq!(bench.fetches(), 2 + round);
        // The flood delays nobody who is honest.
        assert!(bench.call(1).await.is_ok());
    }
}

#[tokio::test]
async fn an_unknown_key_while_the_source_is_down_is_no_rejection() {
    let bench = Bench::new();
    assert!(bench.call(1).await.is_ok());
    bench.publish(None);
    bench.clock.advance(INTERVAL);
    assert_eq!(bench.call(2).await, unavailable());
    assert_eq!(bench.call(2).await, unavailable());
    assert_eq!(bench.fetches(), 2);
    assert!(bench.call(1).await.is_ok());
}

#[tokio::test]
async fn a_withdrawn_key_is_trusted_until_the_age_is_over_and_not_longer() {
    let bench = Bench::new();
    assert!(bench.call(1).await.is_ok());
    bench.publish(Some(&[2]));
    bench.clock.advance(MAX_AGE / 10 * 9);
    assert!(bench.call(1).await.is_ok());
    assert_eq!(bench.fetches(), 1);
    bench.clock.advance(MAX_AGE / 10);
    assert_eq!(bench.call(1).await, Err(Refusal::Invalid));
    assert!(bench.call(2).await.is_ok());
    assert_eq!(bench.fetches(), 2);
}

// Fault 52.
#[tokio::test]
async fn known_keys_serve_while_the_source_is_down() {
    let bench = Bench::new();
    assert!(bench.call(1).await.is_ok());
    bench.publish(None);
    bench.clock.advance(MAX_AGE);
    for _ in 0..50 {
        assert!(bench.call(1).await.is_ok());
    }
    assert_eq!(bench.fetches(), 2, "asked once, then left alone for the retry interval");
    // When the source is back, what it says counts again.
    bench.publish(Some(&[2]));
    bench.clock.advance(KeyCache::RETRY_INTERVAL);
    assert!(bench.call(1).await.is_ok(), "asked in the background");
    while bench.guard.authenticate_cached(&bearer(&bench.token(2))).is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.fetches(), 3);
    assert_eq!(bench.call(1).await, Err(Refusal::Invalid));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_given_up() {
    let bench = Bench::new();
    let _shut = bench.script.gate.acquire().await.unwrap();
    assert_eq!(bench.call(1).await, unavailable());
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test]
async fn a_source_that_panics_is_a_failure_and_not_a_hang() {
    #[derive(Debug)]
    struct Panics;
    impl KeySource for Panics {
        fn fetch(&self) -> FetchFuture<'_> {
            panic!("as scripted");
        }
    }
    let clock = Arc::new(ManualClock::at(NOW));
    let guard = Guard::new("issuer", "audience", KeyCache::new(Panics, clock));
    let token = key(1).sign(&claims(NOW));
    assert_eq!(guard.authenticate(&bearer(&token)).await, unavailable());
}

/// A signed token whose header and claims are what the test says, however wrong.
fn crafted(header: &str, claims: &serde_json::Value) -> String {
    let message = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(header),
        BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    // Any signature will do: the key's owner would not sign these, and a forger cannot.
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 64]))
}

// Fault 48.
#[tokio::test]
async fn every_wrong_token_is_refused_and_asks_for_no_key() {
    let bench = Bench::new();
    let kid = key(1).public().kid().to_owned();
    let good = bench.token(1);
    let parts: Vec<&str> = good.split('.').collect();
    let body = serde_json::to_value(claims(NOW)).unwrap();
    let signed = |change: &dyn Fn(&mut AccessClaims)| {
        let mut claims = claims(NOW);
        change(&mut claims);
        key(1).sign(&claims)
    };
    let header = |alg: &str, typ: &str| format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#);
    let mut bad: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, token: String| bad.push((name.to_owned(), token));

    for alg in [
        "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS256", "PS256", "ES256",
        "ES384", "", "Ed25519", "eddsa",
    ] {
        add(&format!("alg {alg}"), crafted(&header(alg, "at+jwt"), &body));
    }
    let unsigned = crafted(&header("none", "at+jwt"), &body);
    add("alg none without signature", unsigned.rsplit_once('.').unwrap().0.to_owned() + ".");
    for typ in ["JWT", "rt+jwt", "", "at+jw", "at+jwt2", "application/rt+jwt"] {
        add(&format!("typ {typ}"), crafted(&header("EdDSA", typ), &body));
    }
    add("no typ", crafted(&format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#), &body));
    add("no kid", crafted(r#"{"alg":"EdDSA","typ":"at+jwt"}"#, &body));
    add("unknown kid", crafted(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"x"}"#, &body));
    add(
        "own jwk",
        crafted(
            &format!(
                r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{}"}}}}"#,
                key(9).public().x()
            ),
            &body,
        ),
    );
    add("another key", key(2).sign(&claims(NOW)));
    add("issuer", signed(&|c| c.iss = "other".into()));
    add("issuer, empty", signed(&|c| c.iss.clear()));
    add("issuer, case", signed(&|c| c.iss = "Issuer".into()));
    add("audience", signed(&|c| c.aud = "other".into()));
    add("audience, empty", signed(&|c| c.aud.clear()));
    add("audience, case", signed(&|c| c.aud = "AUDIENCE".into()));
    add("64 KiB", signed(&|c| c.jti = "x".repeat(64 * 1024)));
    add("64 KiB of a", "a".repeat(64 * 1024));
    add("64 KiB of dots", ".".repeat(64 * 1024));
    for cut in [1, parts[0].len(), parts[0].len() + 1, good.len() / 2, good.len() - 1] {
        add(&format!("cut at {cut}"), good[..cut].to_owned());
    }
    add("one byte more", format!("{good}A"));
    add("a part more", format!("{good}.{}", parts[2]));
    add("header swapped", format!("{}.{}.{}", parts[1], parts[0], parts[2]));
    add("payload of another", {
        let other = signed(&|c| c.sub = "admin".into());
        format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2])
    });
    add("no signature", format!("{}.{}.", parts[0], parts[1]));
    add(
        "zero signature",
        format!("{}.{}.{}", parts[0], parts[1], BASE64_URL_SAFE_NO_PAD.encode([0; 64])),
    );
    add(
        "a refresh token",
        format!(
            "{}.{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"rt+jwt","kid":"ring"}"#),
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"sid":"s","sub":"u","gen":1,"exp":1900000000}"#),
            BASE64_URL_SAFE_NO_PAD.encode([3; 32])
        ),
    );
    add("not base64", "!!!.???.###".replace(['!', '?', '#'], "~"));
    add("not JSON", format!("{0}.{0}.{0}", BASE64_URL_SAFE_NO_PAD.encode("hello")));
    add("an opaque token", "f47ac10b-58cc-4372-a567-0e02b2c3d479".into());

    assert!(bad.len() >= 48, "{}", bad.len());
    for (name, token) in &bad {
        assert_eq!(bench.present(token).await, Err(Refusal::Invalid), "{name}");
    }
    assert!(bench.present(&good).await.is_ok());
    let spent = signed(&|c| c.exp = NOW.unix_seconds() - 60);
    assert_eq!(bench.present(&spent).await, Err(Refusal::Expired));
    assert_eq!(bench.fetches(), 1, "nothing here is worth a second fetch");
}

/// A guarded service that answers with the caller's name, and what it answered.
async fn through_the_layer(
    bench: &Bench,
    path: &str,
    token: Option<&str>,
) -> Result<String, Status> {
    let policy = Policy::deny_all()
        .public("/s/Public")
        .authenticated("/s/Private")
        .role("/s/Edit", "editor")
        .role("/s/Rule", "admin");
    let service = GuardLayer::new(bench.guard.clone(), policy).layer(service_fn(
        async |request: Request<Body>| {
            let caller = request.extensions().get::<Caller>();
            let name = caller.map_or("nobody", |caller| &caller.user_id).to_owned();
            let secret = request.headers().get(AUTHORIZATION).is_none_or(HeaderValue::is_sensitive);
            assert!(secret || caller.is_none());
            Ok::<_, Infallible>(Response::builder().extension(name).body(Body::empty()).unwrap())
        },
    ));
    let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
    if let Some(token) = token {
        *request.headers_mut() = bearer(token);
    }
    let response = service.oneshot(request).await.unwrap();
    match Status::from_header_map(response.headers()) {
        Some(status) => Err(status),
        None => Ok(response.extensions().get::<String>().unwrap().clone()),
    }
}

#[tokio::test]
async fn the_layer_answers_before_the_handler_by_policy() {
    let bench = Bench::new();
    let good = bench.token(1);
    let reason = |result: Result<String, Status>| {
        let status = result.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.domain, "evergreen");
        (status.code(), info.reason)
    };
    // The first one waits for the keys, the others do not.
    for _ in 0..2 {
        let call = through_the_layer(&bench, "/s/Private", Some(&good)).await;
        assert_eq!(call.unwrap(), "user");
    }
    assert_eq!(through_the_layer(&bench, "/s/Edit", Some(&good)).await.unwrap(), "user");
    assert_eq!(through_the_layer(&bench, "/s/Public", None).await.unwrap(), "nobody");
    assert_eq!(through_the_layer(&bench, "/s/Public", Some("junk")).await.unwrap(), "nobody");
    for (path, token, code, expected) in [
        ("/s/Private", None, Code::Unauthenticated, "ACCESS_TOKEN_MISSING"),
        ("/s/Private", Some("junk"), Code::Unauthenticated, "ACCESS_TOKEN_INVALID"),
        ("/s/Rule", None, Code::Unauthenticated, "ACCESS_TOKEN_MISSING"),
        ("/s/Rule", Some(&*good), Code::PermissionDenied, "PERMISSION_DENIED"),
        ("/s/Unlisted", Some(&*good), Code::PermissionDenied, "PERMISSION_DENIED"),
        ("/s/Unlisted", None, Code::PermissionDenied, "PERMISSION_DENIED"),
    ] {
        let answer = reason(through_the_layer(&bench, path, token).await);
        assert_eq!(answer, (code, expected.to_owned()), "{path}");
    }
    bench.clock.advance(Duration::from_secs(902));
    let answer = reason(through_the_layer(&bench, "/s/Private", Some(&good)).await);
    assert_eq!(answer, (Code::Unauthenticated, "ACCESS_TOKEN_EXPIRED".into()));
}

#[tokio::test]
async fn without_keys_the_layer_says_when_to_come_again() {
    let bench = Bench::new();
    bench.publish(None);
    let status = through_the_layer(&bench, "/s/Private", Some(&bench.token(1))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "KEYS_UNAVAILABLE");
    let retry = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(retry, Some(KeyCache::RETRY_INTERVAL));
}

#[tokio::test]
async fn what_no_key_could_make_good_is_refused_without_asking_for_any() {
    let bench = Bench::new();
    bench.publish(None);
    let good = bench.token(1);
    for bad in ["a.b.c", &good[..good.len() / 3], &"a".repeat(64 * 1024)] {
        assert_eq!(bench.present(bad).await, Err(Refusal::Invalid));
    }
    assert_eq!(bench.guard.authenticate(&HeaderMap::new()).await, Err(Refusal::Missing));
    assert_eq!(bench.fetches(), 0);
}

#[tokio::test]
async fn the_interceptor_judges_by_keys_at_hand() {
    let bench = Bench::new();
    let mut interceptor = GuardInterceptor::new(bench.guard.clone());
    let request = || {
        let mut request = tonic::Request::new(());
        let value = format!("Bearer {}", bench.token(1)).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    };
    assert_eq!(interceptor.call(request()).unwrap_err().code(), Code::Unavailable);
    assert!(bench.call(1).await.is_ok(), "joins the fetch that the interceptor began");
    let passed = interceptor.call(request()).unwrap();
    assert_eq!(passed.extensions().get::<Caller>().unwrap().user_id, "user");
    assert_eq!(
        interceptor.call(tonic::Request::new(())).unwrap_err().code(),
        Code::Unauthenticated
    );
    assert_eq!(bench.fetches(), 1);
}

#[tokio::test]
async fn a_good_token_is_remembered_until_it_runs_out() {
    let bench = Bench::new();
    let token = bench.token(1);
    let first = bench.present(&token).await;
    assert!(first.is_ok());
    assert_eq!(bench.guard.verified.len(), 1);
    bench.clock.advance(Duration::from_secs(900));
    bench.publish(None);
    assert_eq!(bench.present(&token).await, first, "within the leeway");
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.present(&token).await, Err(Refusal::Expired));
    assert_eq!(bench.guard.verified.len(), 0);
}

#[tokio::test]
async fn a_remembered_token_is_refused_once_its_key_is_gone() {
    let bench = Bench::new();
    let token = bench.token(1);
    assert!(bench.present(&token).await.is_ok());
    bench.publish(Some(&[2]));
    bench.clock.advance(MAX_AGE);
    assert_eq!(bench.present(&token).await, Err(Refusal::Invalid));
}

#[tokio::test]
async fn guards_that_started_together_do_not_ask_in_step() {
    let mut due = Vec::new();
    for seed in 0..20 {
        let mut bench = Bench::new();
        let keys = KeyCache::new(Source(bench.script.clone()), bench.clock.clone());
        let keys = keys.entropy(Arc::new(SeededEntropy::new(seed)));
        bench.guard = Guard::new("issuer", "audience", keys);
        assert!(bench.call(1).await.is_ok());
        bench.clock.advance(MAX_AGE / 20 * 19);
        assert!(bench.call(1).await.is_ok());
        due.push(bench.fetches());
    }
    let early = due.iter().filter(|fetches| **fetches == 2).count();
    assert!((4..=16).contains(&early), "half of them, more or less: {early}");
}

#[tokio::test]
async fn a_revoked_session_is_refused_before_the_handler() {
    let mut bench = Bench::new();
    let (revocations, revoke) = revocations::scripted(bench.clock.clone());
    bench.guard = bench.guard.revocations(revocations.clone());
    let token = bench.token(1);
    assert_eq!(through_the_layer(&bench, "/s/Private", Some(&token)).await.unwrap(), "user");
    revoke("session");
    while revocations.is_empty() {
        tokio::task::yield_now().await;
    }
    let refused = through_the_layer(&bench, "/s/Private", Some(&token)).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "SESSION_REVOKED");
    assert_eq!(bench.present(&token).await, Err(Refusal::SessionRevoked));
    assert!(through_the_layer(&bench, "/s/Public", Some(&token)).await.is_ok());
}

#[tokio::test]
async fn forged_tokens_displace_no_honest_one() {
    let mut bench = Bench::new();
    bench.guard = bench.guard.verified_tokens(16);
    let honest = bench.token(1);
    assert!(bench.present(&honest).await.is_ok());
    let (signed, signature) = honest.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    for byte in 0..64 {
        for bit in 0..8 {
            let mut forged = signature.clone();
            forged[byte] ^= 1 << bit;
            let forged = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(forged));
            assert_eq!(bench.present(&forged).await, Err(Refusal::Invalid));
        }
    }
    assert_eq!(bench.guard.verified.len(), 1);
    assert!(bench.present(&honest).await.is_ok());
}
