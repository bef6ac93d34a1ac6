//! What the guard costs a call, and what known revocations add.
//!
//! `cargo bench -p client-sdk --bench guard` prints nanoseconds, measured in turn.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops here")]

#[path = "../tests/common/guarded.rs"]
mod guarded;

use std::{hint::black_box, sync::Arc, time::Duration};

use client_sdk::guard::{Guard, KeyCache, Keys, Revocations};
use guarded::{OneKey, Told, bearers, revoked};
use http::HeaderMap;
use token::{
    SigningKey,
    clock::{Clock as _, SystemClock},
    entropy::SeededEntropy,
};
use tokio::time::Instant;

/// As long as an id of Evergreen's is.
fn session_ids() -> impl Iterator<Item = String> {
    (0..REVOKED).map(|n| format!("0199{:04x}-7000-7000-8000-{n:012x}", n % 65_536))
}

/// Nanoseconds a call.
fn judged(guard: &Guard, bearers: &[HeaderMap]) -> f64 {
    let start = Instant::now();
    for bearer in bearers {
        black_box(guard.authenticate_cached(bearer).unwrap());
    }
    start.elapsed().as_secs_f64() * 1e9 / bearers.len() as f64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let clock = Arc::new(SystemClock::new());
    let key = SigningKey::generate(&SeededEntropy::new(1));
    let few = bearers(&key, clock.now(), 1_000);
    let keys = [key.public().clone()].into_iter().collect();
    let keys =
        KeyCache::new(OneKey(Keys { keys, max_age: Duration::from_secs(300) }), clock.clone());
    let plain = Guard::new("evergreen", "evergreen", keys);
    plain.authenticate(&few[0]).await.unwrap();

    let (tell, source) = Told::new();
    tell.send(revoked(session_ids(), clock.now())).unwrap();
    let revocations = Revocations::of(source, clock).follow();
    while revocations.len() < REVOKED {
        tokio::task::yield_now().await;
    }
    let following = plain.clone().revocations(revocations);
    let forgetful = plain.clone().verified_tokens(0);

    let (mut known, mut checked, mut new) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        known.push(judged(&plain, &few));
        checked.push(judged(&following, &few));
        new.push(judged(&forgetful, &few));
    }
    let added = checked.iter().zip(&known).map(|(checked, known)| checked - known).collect();
    println!("a token that is known             {:8.0} ns", median(known));
    println!("added by {REVOKED} revocations     {:8.0} ns", median(added));
    println!("a token that is new               {:8.0} ns", median(new));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const REVOKED: usize = 100_000;
const ROUNDS: usize = 101;
