//! What the guard keeps and allocates: counted, not timed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

#[path = "common/guarded.rs"]
mod guarded;

use std::{sync::Arc, time::Duration};

use client_sdk::guard::{Guard, KeyCache, Keys, Refusal, Revocations};
use guarded::{OneKey, Told, bearers, revoked};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use token::{
    SigningKey,
    clock::{ManualClock, Timestamp},
    entropy::SeededEntropy,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const REVOKED: usize = 100_000;

/// As long as an id of Evergreen's is.
fn session_ids() -> impl Iterator<Item = String> {
    (0..REVOKED).map(|n| format!("0199{:04x}-7000-7000-8000-{n:012x}", n % 65_536))
}

/// One test, since the heap is the process's.
#[tokio::test]
async fn revocations_take_little_room_and_a_forged_token_of_any_length_less() {
    let clock = Arc::new(ManualClock::at(NOW));
    let (tell, source) = Told::new();
    let _counting = dhat::Profiler::builder().testing().build();
    let empty = dhat::HeapStats::get().curr_bytes;
    let revocations = Revocations::of(source, clock.clone()).follow();
    tell.send(revoked(session_ids(), NOW)).unwrap();
    while revocations.len() < REVOKED {
        tokio::task::yield_now().await;
    }
    let kept = dhat::HeapStats::get().curr_bytes - empty;
    println!("{REVOKED} revocations: {:.1} MiB", kept as f64 / f64::from(1 << 20));
    assert!(kept < 32 << 20);

    let key = SigningKey::generate(&SeededEntropy::new(1));
    let keys = [key.public().clone()].into_iter().collect();
    let keys = OneKey(Keys { keys, max_age: Duration::from_secs(300) });
    let guard = Guard::new("evergreen", "evergreen", KeyCache::new(keys, clock));
    let good = bearers(&key, NOW, 1).remove(0);
    guard.authenticate(&good).await.unwrap();

    // Fault 48: what is refused takes room in proportion to its length up to a bound, and none at all
    // beyond it; nothing of it is kept.
    let before = dhat::HeapStats::get();
    let (header, _) = good[AUTHORIZATION].to_str().unwrap().split_once('.').unwrap();
    for (length, most) in [(1024, 8 * 1024), (12 * 1024 - 96, 64 * 1024), (64 * 1024, 0)] {
        let forged = format!("{header}.{}.{}", "A".repeat(length - header.len()), "A".repeat(86));
        let forged = HeaderValue::from_str(&forged).unwrap();
        let forged = HeaderMap::from_iter([(AUTHORIZATION, forged)]);
        let before = dhat::HeapStats::get().total_bytes;
        assert_eq!(guard.authenticate(&forged).await, Err(Refusal::Invalid), "{length}");
        let taken = dhat::HeapStats::get().total_bytes - before;
        println!("a forged token of {length} bytes: {taken} bytes");
        assert!(taken <= most, "{taken} for {length}");
    }
    assert_eq!(dhat::HeapStats::get().curr_blocks, before.curr_blocks);
}
