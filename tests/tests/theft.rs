//! A spent token that comes back is caught, whoever brings it.

use std::time::Duration;

use evergreen_proto::auth::v1::{RefreshRequest, TokenPair};
use tests::{World, bearing, reason, with_metadata};
use tonic::Status;

async fn refresh(
    world: &World,
    token: &str,
    metadata: &[(&str, &str)],
) -> Result<TokenPair, Status> {
    let request =
        metadata.iter().fold(bearing(token, RefreshRequest {}), |request, (name, value)| {
            with_metadata(request, name, value)
        });
    let answer = world.auth_client().refresh(request).await?;
    Ok(answer.into_inner().tokens.expect("Refresh answers with tokens"))
}

const OWNER: (&str, &str) = ("idempotency-key", "owners-attempt-01");
const OWNER_AGAIN: (&str, &str) = ("idempotency-key", "owners-attempt-02");
const THIEF: (&str, &str) = ("idempotency-key", "thiefs-attempt-01");
const FLAG: (&str, &str) = ("after-superseded", "1");

#[tokio::test]
async fn a_plain_client_may_repeat_itself_within_the_grace_and_not_after_it() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let first = refresh(&world, &tokens.refresh_token, &[]).await.unwrap();
    world.clock.advance(Duration::from_secs(9));
    let again = refresh(&world, &tokens.refresh_token, &[]).await.unwrap();
    assert_eq!(again.refresh_token, first.refresh_token);
    world.clock.advance(Duration::from_secs(1));
    let reused = refresh(&world, &tokens.refresh_token, &[]).await;
    assert_eq!(reason(reused), "REFRESH_TOKEN_REUSED");
    let newest = refresh(&world, &first.refresh_token, &[]).await;
    assert_eq!(reason(newest), "SESSION_REVOKED");
}

/// Fault 55.
#[tokio::test]
async fn a_thief_who_came_first_is_exposed_at_the_owners_next_call_however_fast_he_rotates() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let mut stolen = refresh(&world, &tokens.refresh_token, &[THIEF]).await.unwrap();
    for n in 0..20 {
        let key = format!("thiefs-attempt-{n:04}");
        let attempt = [("idempotency-key", key.as_str())];
        stolen = refresh(&world, &stolen.refresh_token, &attempt).await.unwrap();
    }
    let owner = refresh(&world, &tokens.refresh_token, &[OWNER]).await;
    assert_eq!(reason(owner), "REFRESH_SUPERSEDED");
    let owner = refresh(&world, &tokens.refresh_token, &[OWNER_AGAIN, FLAG]).await;
    assert_eq!(reason(owner), "REFRESH_TOKEN_REUSED");
    let thief = refresh(&world, &stolen.refresh_token, &[THIEF]).await;
    assert_eq!(reason(thief), "SESSION_REVOKED");
}

#[tokio::test]
async fn a_thief_who_comes_second_gains_nothing_and_later_ends_the_session() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let owner = refresh(&world, &tokens.refresh_token, &[OWNER]).await.unwrap();
    let thief = refresh(&world, &tokens.refresh_token, &[THIEF]).await;
    assert_eq!(reason(thief), "REFRESH_SUPERSEDED");
    world.clock.advance(Duration::from_secs(30));
    let thief = refresh(&world, &tokens.refresh_token, &[THIEF]).await;
    assert_eq!(reason(thief), "REFRESH_TOKEN_REUSED");
    let owner = refresh(&world, &owner.refresh_token, &[OWNER_AGAIN]).await;
    assert_eq!(reason(owner), "SESSION_REVOKED");
}

#[tokio::test]
async fn a_late_copy_of_an_honest_attempt_changes_nothing() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let second = refresh(&world, &tokens.refresh_token, &[OWNER]).await.unwrap();
    let third = refresh(&world, &second.refresh_token, &[OWNER_AGAIN]).await.unwrap();
    world.clock.advance(Duration::from_secs(3600));
    let copy = refresh(&world, &tokens.refresh_token, &[OWNER]).await;
    assert_eq!(reason(copy), "REFRESH_SUPERSEDED");
    let next = [("idempotency-key", "owners-attempt-03")];
    assert!(refresh(&world, &third.refresh_token, &next).await.is_ok());
}
