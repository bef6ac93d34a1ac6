//! Several instances on one PostgreSQL database: clients may ask any of them.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{fs, sync::Arc, time::Duration};

use cli::lab::{Running, start_auth};
use evergreen_proto::auth::v1::{RefreshRequest, TokenPair};
use futures_util::future::join_all;
use tests::{World, auth_client_of, bearing, reason, with_metadata};
use token::{MasterKey, clock::Clock as _, entropy::SystemEntropy};
use tonic::Status;
use transport::{recorder::Recorder, status::reason_of};

async fn refresh(auth: &Running, token: &str, key: &str) -> Result<TokenPair, Status> {
    let request = with_metadata(bearing(token, RefreshRequest {}), "idempotency-key", key);
    let answer = auth_client_of(auth).refresh(request).await?;
    Ok(answer.into_inner().tokens.unwrap())
}

#[tokio::test]
async fn a_session_goes_on_whichever_instance_is_asked() {
    let Some(world) = World::on_postgres().await else { return };
    let other = world.another_auth(|_| {}).await;
    let mut tokens = world.register("ada").await;
    for round in 0..6 {
        let asked = if round % 2 == 0 { &other } else { &world.auth };
        let key = format!("attempt-{round:09}");
        let first = refresh(asked, &tokens.refresh_token, &key).await.unwrap();
        // The answer was lost, and the repeat goes to the other one.
        let again = if round % 2 == 0 { &world.auth } else { &other };
        tokens = refresh(again, &tokens.refresh_token, &key).await.unwrap();
        assert_eq!(tokens.refresh_token, first.refresh_token);
    }
}

/// Fault 44, over two instances.
#[tokio::test]
async fn of_twenty_keys_at_two_instances_one_wins_and_nobody_is_revoked() {
    let Some(world) = World::on_postgres().await else { return };
    let other = world.another_auth(|_| {}).await;
    let tokens = world.register("ada").await;
    let keys: Vec<_> = (0..20).map(|n| format!("rival-{n:012}")).collect();
    let attempts = keys.iter().enumerate().map(|(n, key)| {
        let asked = if n % 2 == 0 { &other } else { &world.auth };
        refresh(asked, &tokens.refresh_token, key)
    });
    let answers = join_all(attempts).await;
    let won: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(won.len(), 1);
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let reasons: Vec<_> = refused.map(|status| reason_of(status).unwrap()).collect();
    assert_eq!(reasons, ["REFRESH_SUPERSEDED"; 19]);
    refresh(&other, &won[0].refresh_token, "attempt-000000001").await.unwrap();
}

/// The ring is rotated as an operator does it: first every instance's file gets the new key, to
/// verify with; then it comes first, to sign with. One instance has not read its file since.
#[tokio::test]
async fn a_rotated_ring_loses_nobody_though_one_instance_is_late() {
    let Some(world) = World::on_postgres().await else { return };
    let late = world.another_auth(|_| {}).await;
    let first = world.register("ada").await;
    let second = refresh(&world.auth, &first.refresh_token, "attempt-000000001").await.unwrap();

    let world = world
        .restart_auth_after(|_, config| {
            let path = config.data_dir.join("master.keys");
            let known = fs::read_to_string(&path).unwrap();
            let new = MasterKey::generate(&SystemEntropy);
            fs::write(&path, format!("{}\n{known}", *new.to_line())).unwrap();
        })
        .await;
    // The answer to the second attempt was lost; its repeat finds the same successor under the
    // ring that knows both keys, and under the one that knows the old key only.
    for asked in [&world.auth, &late] {
        let again = refresh(asked, &first.refresh_token, "attempt-000000001").await.unwrap();
        let next = format!("{} has the same nonce", again.session_id);
        assert_eq!(claims(&again.refresh_token), claims(&second.refresh_token), "{next}");
    }
    // What the new key signs, the late instance verifies after one look at its file.
    let third = refresh(&world.auth, &second.refresh_token, "attempt-000000002").await.unwrap();
    let fourth = refresh(&late, &third.refresh_token, "attempt-000000003").await.unwrap();
    let again = refresh(&world.auth, &third.refresh_token, "attempt-000000003").await.unwrap();
    assert_eq!(claims(&again.refresh_token), claims(&fourth.refresh_token));
}

/// What a refresh token says, whichever key signed it.
fn claims(token: &str) -> String {
    token.split('.').nth(1).unwrap().to_owned()
}

/// Fault 56: the database's clock decides, so an instance may believe what it likes.
#[tokio::test]
async fn an_instance_whose_clock_is_off_revokes_nobody() {
    let Some(world) = World::on_postgres().await else { return };
    let now = world.clock.now();
    let mut instances = Vec::new();
    for clock in [
        now + Duration::from_secs(3),
        now - Duration::from_secs(3),
        now - Duration::from_secs(3600),
        now + Duration::from_secs(86_400),
    ] {
        let clock = Arc::new(token::clock::ManualClock::at(clock));
        let config = world.auth_settings();
        let (auth, _) = start_auth(config, clock, Arc::new(Recorder::new()), false).await.unwrap();
        instances.push(auth);
    }
    let mut tokens = world.register("ada").await;
    for round in 0..12 {
        let key = format!("attempt-{round:09}");
        let before = tokens.refresh_token.clone();
        let asked = &instances[round % instances.len()];
        tokens = refresh(asked, &before, &key).await.unwrap();
        // A rival that shares the store, at once, at the next one.
        let next = &instances[(round + 1) % instances.len()];
        let rival = refresh(next, &before, &format!("rival-{round:010}")).await;
        assert_eq!(reason(rival), "REFRESH_SUPERSEDED");
        let copy = refresh(next, &before, &key).await.unwrap();
        assert_eq!(copy.refresh_token, tokens.refresh_token);
    }
}
