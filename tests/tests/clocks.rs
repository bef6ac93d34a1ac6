//! Fault 56: the server's clock stands still, is set back, is set forward: nobody is revoked.

use std::time::Duration;

use client_sdk::{Session, store::MemoryStore};
use evergreen_proto::auth::v1::RefreshRequest;
use tests::{PASSWORD, World, bearing, reason, with_metadata};
use token::clock::Clock as _;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_clock_that_jumps_logs_nobody_out() {
    let world = World::start().await;
    world.register("ada").await;
    let session = Session::builder(world.auth.url()).store(MemoryStore::new()).connect().await;
    let session = session.unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    let start = world.clock.now();
    for jump in [start, start - HOUR, start - HOUR, start + 24 * HOUR, start + 23 * HOUR, start] {
        world.clock.set(jump);
        for _ in 0..3 {
            session.refresh().await.unwrap();
        }
        session.verify().await.unwrap();
    }
}

#[tokio::test]
async fn a_clock_set_back_takes_nobody_for_a_thief() {
    let world = World::start().await;
    let first = world.register("ada").await;
    let attempt = async |token: &str, key: &str| {
        let request = with_metadata(bearing(token, RefreshRequest {}), "idempotency-key", key);
        world.auth_client().refresh(request).await
    };
    let answer = attempt(&first.refresh_token, "attempt-000000001").await.unwrap();
    let second = answer.into_inner().tokens.unwrap();
    world.clock.set(world.clock.now() - HOUR);
    // A rival that shares the store comes now: by the clock, before the rotation.
    let rival = attempt(&first.refresh_token, "rival-0000000001").await;
    assert_eq!(reason(rival), "REFRESH_SUPERSEDED");
    attempt(&second.refresh_token, "attempt-000000002").await.unwrap();
}
