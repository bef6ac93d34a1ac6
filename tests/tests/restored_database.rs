//! A database that is older than the tokens it signed: a backup was restored, or a replica that
//! lagged took over. Nobody honest is logged out; a thief is caught all the same.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::time::Duration;

use auth_service::{AuditRecord, Config};
use client_sdk::{Session, store::MemoryStore};
use evergreen_proto::auth::v1::{GetCurrentUserRequest, LogoutRequest, RefreshRequest, TokenPair};
use tests::{PASSWORD, Restorable, World, bearing, claims, login, reason, with_metadata};
use tonic::Status;

macro_rules! on_both {
    ($($test:ident)*) => { $(
        mod $test {
            #[tokio::test]
            async fn on_sqlite() {
                super::$test(super::World::start().await).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let Some(world) = super::World::on_postgres().await else { return };
                super::$test(world).await;
            }
        }
    )* };
}

on_both! {
    a_session_that_rotated_since_goes_on
    a_login_since_goes_on_even_if_the_ring_was_rotated_too
    a_lost_answer_is_repeated_to_the_restored_database
    a_spent_token_is_still_caught
    a_session_that_was_logged_out_by_a_client_stays_ended
    whoever_does_not_want_it_can_switch_it_off
}

async fn refresh(world: &World, token: &str, key: &str) -> Result<TokenPair, Status> {
    let request = with_metadata(bearing(token, RefreshRequest {}), "idempotency-key", key);
    let answer = world.auth_client().refresh(request).await?;
    Ok(answer.into_inner().tokens.unwrap())
}

async fn whoami(world: &World, access_token: &str) -> Result<String, Status> {
    let request = bearing(access_token, GetCurrentUserRequest {});
    let user = world.auth_client().get_current_user(request).await?.into_inner().user;
    Ok(user.unwrap().username)
}

async fn backed_up(world: World) -> World {
    world.restart_auth_after(|database, _| database.back_up()).await
}

async fn restored(world: World) -> World {
    world.restart_auth_after(|database, _| database.restore()).await
}

/// In the order of the alphabet, since the world's clock stands still.
/// What happened to users.
fn kinds(events: &[AuditRecord]) -> Vec<&str> {
    let kinds = events.iter().map(|event| event.kind);
    let mut kinds: Vec<_> = kinds.filter(|kind| !kind.starts_with("service_")).collect();
    kinds.sort_unstable();
    kinds
}

/// Fault 47, 58.
async fn a_session_that_rotated_since_goes_on(world: World) {
    world.register("ada").await;
    let session = Session::builder(world.auth.url()).store(MemoryStore::new()).connect().await;
    let session = session.unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    let world = backed_up(world).await;
    for _ in 0..5 {
        session.refresh().await.unwrap();
    }
    let id = session.verify().await.unwrap().session_id;
    let world = restored(world).await;
    for _ in 0..3 {
        session.refresh().await.unwrap();
    }
    assert_eq!(session.verify().await.unwrap().session_id, id);
    let events = world.audit_events().await;
    assert_eq!(kinds(&events), ["login_succeeded", "refresh_adopted", "user_created"]);
    let adopted = events.iter().find(|event| event.kind == "refresh_adopted").unwrap();
    assert_eq!(adopted.session_id.as_deref(), Some(id.as_str()));
    assert!(adopted.address.is_some_and(|address| address.is_loopback()));
}

/// Fault 58.
async fn a_login_since_goes_on_even_if_the_ring_was_rotated_too(world: World) {
    world.register("ada").await;
    let world = backed_up(world).await;
    let tokens = login(&world, "ada").await;
    let world = world.restart_auth_after(|_, config| add_master_key(config)).await;
    let tokens = refresh(&world, &tokens.refresh_token, "attempt-000000001").await.unwrap();
    let world = restored(world).await;
    // The access token is of a session that the database has forgotten: renew, not log in.
    assert_eq!(reason(whoami(&world, &tokens.access_token).await), "ACCESS_TOKEN_EXPIRED");
    let renewed = refresh(&world, &tokens.refresh_token, "attempt-000000002").await.unwrap();
    assert_eq!(renewed.session_id, tokens.session_id);
    assert_eq!(whoami(&world, &renewed.access_token).await.unwrap(), "ada");
    refresh(&world, &renewed.refresh_token, "attempt-000000003").await.unwrap();
    assert_eq!(kinds(&world.audit_events().await), ["refresh_adopted", "user_created"]);
}

/// Puts a new master key in front, as an operator does once every instance has it.
fn add_master_key(config: &mut Config) {
    let path = config.data_dir.join("master.keys");
    let known = std::fs::read_to_string(&path).unwrap();
    let new = token::MasterKey::generate(&token::entropy::SystemEntropy);
    std::fs::write(&path, format!("{}\n{known}", *new.to_line())).unwrap();
}

async fn a_lost_answer_is_repeated_to_the_restored_database(world: World) {
    let first = world.register("ada").await;
    let world = backed_up(world).await;
    let second = refresh(&world, &first.refresh_token, "attempt-000000001").await.unwrap();
    let third = refresh(&world, &second.refresh_token, "attempt-000000002").await.unwrap();
    // The ring is rotated while the answer is on its way, and the repeat is answered first.
    let world = world
        .restart_auth_after(|database, config| {
            database.restore();
            add_master_key(config);
        })
        .await;
    let again = refresh(&world, &second.refresh_token, "attempt-000000002").await.unwrap();
    assert_eq!(nonce(&again.refresh_token), nonce(&third.refresh_token), "one successor");
    // Whichever of the two answers the client heard.
    refresh(&world, &third.refresh_token, "attempt-000000003").await.unwrap();
    refresh(&world, &again.refresh_token, "attempt-000000003").await.unwrap();
}

/// What tells a refresh token from others of its generation, whichever key signed it and when.
fn nonce(token: &str) -> String {
    claims(token)["non"].as_str().unwrap().to_owned()
}

async fn a_spent_token_is_still_caught(world: World) {
    let first = world.register("ada").await;
    let world = backed_up(world).await;
    let second = refresh(&world, &first.refresh_token, "attempt-000000001").await.unwrap();
    let third = refresh(&world, &second.refresh_token, "attempt-000000002").await.unwrap();
    let world = restored(world).await;
    let owners = refresh(&world, &third.refresh_token, "attempt-000000003").await.unwrap();
    // A thief has had the second one since before.
    let thief = with_metadata(
        with_metadata(
            bearing(&second.refresh_token, RefreshRequest {}),
            "idempotency-key",
            "thief-0000000001",
        ),
        "after-superseded",
        "1",
    );
    assert_eq!(reason(world.auth_client().refresh(thief).await), "REFRESH_TOKEN_REUSED");
    let owner = refresh(&world, &owners.refresh_token, "attempt-000000004").await;
    assert_eq!(reason(owner), "SESSION_REVOKED");
    assert_eq!(
        kinds(&world.audit_events().await),
        ["refresh_adopted", "refresh_reused", "user_created"]
    );
}

async fn a_session_that_was_logged_out_by_a_client_stays_ended(world: World) {
    world.register("ada").await;
    let world = backed_up(world).await;
    let tokens = login(&world, "ada").await;
    let world = restored(world).await;
    let logout = bearing(&tokens.refresh_token, LogoutRequest {});
    world.auth_client().logout(logout).await.unwrap();
    let refused = refresh(&world, &tokens.refresh_token, "attempt-000000001").await;
    assert_eq!(reason(refused), "SESSION_REVOKED");
}

async fn whoever_does_not_want_it_can_switch_it_off(world: World) {
    world.register("ada").await;
    let world = backed_up(world).await;
    let tokens = login(&world, "ada").await;
    let without = |database: &Restorable, config: &mut Config| {
        database.restore();
        config.adopt = false;
    };
    let world = world.restart_auth_after(without).await;
    let refused = refresh(&world, &tokens.refresh_token, "attempt-000000001").await;
    assert_eq!(reason(refused), "REFRESH_TOKEN_INVALID");
}

/// Fault 65: the restored row has idled out, but a token has been minted since.
#[tokio::test]
async fn a_restored_row_whose_idle_end_has_passed_ends_nobodys_session() {
    let world = World::start().await;
    let first = world.register("ada").await;
    let world = backed_up(world).await;
    world.clock.advance(Duration::from_secs(6 * 86_400));
    let second = refresh(&world, &first.refresh_token, "attempt-000000001").await.unwrap();
    world.clock.advance(Duration::from_secs(6 * 86_400));
    let world = restored(world).await;
    refresh(&world, &second.refresh_token, "attempt-000000002").await.unwrap();
}
