//! Answers are lost, attempts are repeated, and each keeps its one successor.

use evergreen_proto::auth::v1::{RefreshRequest, TokenPair};
use futures_util::future::join_all;
use tests::{World, bearing, reason, with_metadata};
use tonic::Status;

async fn attempt(world: &World, token: &str, key: &str) -> Result<TokenPair, Status> {
    let request = with_metadata(bearing(token, RefreshRequest {}), "idempotency-key", key);
    let answer = world.auth_client().refresh(request).await?;
    Ok(answer.into_inner().tokens.expect("Refresh answers with tokens"))
}

const KEY: &str = "attempt-000000001";

/// Fault 18 and 59.
#[tokio::test]
async fn the_same_attempt_gets_the_same_successor_however_late() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let first = attempt(&world, &tokens.refresh_token, KEY).await.unwrap();
    let at_once = attempt(&world, &tokens.refresh_token, KEY).await.unwrap();
    assert_eq!(at_once.refresh_token, first.refresh_token);
    // Just before the successor's idle end.
    world.clock.advance(std::time::Duration::from_secs(7 * 86_400 - 1));
    let days_later = attempt(&world, &tokens.refresh_token, KEY).await.unwrap();
    assert_eq!(days_later.refresh_token, first.refresh_token);
    assert!(attempt(&world, &first.refresh_token, "attempt-000000002").await.is_ok());
}

/// Fault 18, across a restart of the server.
#[tokio::test]
async fn the_same_attempt_gets_the_same_successor_from_a_restarted_server() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let first = attempt(&world, &tokens.refresh_token, KEY).await.unwrap();
    let world = world.restart_auth().await;
    let again = attempt(&world, &tokens.refresh_token, KEY).await.unwrap();
    assert_eq!(again.refresh_token, first.refresh_token);
}

/// Fault 44.
#[tokio::test]
async fn twenty_callers_with_one_key_get_twenty_identical_successors() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let attempts = (0..20).map(|_| attempt(&world, &tokens.refresh_token, KEY));
    let successors: Vec<_> =
        join_all(attempts).await.into_iter().map(|result| result.unwrap().refresh_token).collect();
    assert!(successors.iter().all(|successor| *successor == successors[0]));
    assert!(attempt(&world, &successors[0], "attempt-000000002").await.is_ok());
}

/// Fault 44.
#[tokio::test]
async fn of_twenty_keys_one_wins_and_nobody_is_revoked() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let keys: Vec<_> = (0..20).map(|n| format!("rival-{n:012}")).collect();
    let attempts = keys.iter().map(|key| attempt(&world, &tokens.refresh_token, key));
    let (won, lost): (Vec<_>, Vec<_>) =
        join_all(attempts).await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for refusal in lost {
        assert_eq!(reason(refusal), "REFRESH_SUPERSEDED");
    }
    let winner = won.into_iter().next().unwrap().unwrap();
    assert!(attempt(&world, &winner.refresh_token, "attempt-000000002").await.is_ok());
}
