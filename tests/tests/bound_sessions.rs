//! Sessions that are bound to the key of their client's certificate: a stolen token alone is useless,
//! and whoever has but that cannot log its owner out.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::time::Duration;

use client_sdk::{AuthenticationError, Session};
use evergreen_proto::auth::v1::{
    GetCurrentUserRequest, LoginRequest, LogoutRequest, RefreshRequest, TokenPair,
};
use private_authority::Signed;
use tests::{
    PASSWORD, bearing, claims, encrypted::Encrypted, process::PATIENCE, reason, with_metadata,
};
use tonic::Status;
use transport::tls::ClientAuth;

async fn bound() -> Encrypted {
    Encrypted::start(ClientAuth::Optional, |config| config.bind_sessions = true).await
}

async fn login(services: &Encrypted, name: &str, shown: Option<&Signed>) -> TokenPair {
    let request =
        LoginRequest { username: name.into(), password: PASSWORD.into(), ..<_>::default() };
    let answer = services.auth_client(shown).login(request).await.unwrap();
    answer.into_inner().tokens.unwrap()
}

async fn refresh(
    services: &Encrypted,
    token: &str,
    key: &str,
    shown: Option<&Signed>,
) -> Result<TokenPair, Status> {
    let request = with_metadata(bearing(token, RefreshRequest {}), "idempotency-key", key);
    Ok(services.auth_client(shown).refresh(request).await?.into_inner().tokens.unwrap())
}

const FIRST: &str = "the first attempt";
const SECOND: &str = "the second attempt";
const MISMATCH: &str = "CLIENT_CERTIFICATE_MISMATCH";

fn key(text: &str) -> String {
    text.replace(' ', "-")
}

async fn events(services: Encrypted) -> Vec<(&'static str, String)> {
    let events = services.world.audit_events().await.into_iter();
    events.map(|event| (event.kind, event.detail)).collect()
}

#[tokio::test]
async fn a_stolen_token_alone_is_useless_and_logs_nobody_out() {
    let services = bound().await;
    let (me, thief) = (services.authority.client("me"), services.authority.client("thief"));
    let first = services.register("ada", Some(&me)).await;
    let second = refresh(&services, &first.refresh_token, &key(FIRST), Some(&me)).await.unwrap();
    for shown in [None, Some(&thief)] {
        // The newest one, and one that is spent: reuse would end the session.
        for (stolen, attempt) in [(&second, SECOND), (&first, SECOND), (&first, FIRST)] {
            let refused = refresh(&services, &stolen.refresh_token, &key(attempt), shown).await;
            assert_eq!(reason(refused), MISMATCH);
        }
        let logout = bearing(&second.refresh_token, LogoutRequest {});
        assert_eq!(reason(services.auth_client(shown).logout(logout).await), MISMATCH);
    }
    // The owner's chain is where it was, and the lost answer to the first attempt is repeated.
    let again = refresh(&services, &first.refresh_token, &key(FIRST), Some(&me)).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    let renewed = services.authority.renewed("renewed", &me);
    let third = refresh(&services, &second.refresh_token, &key(SECOND), Some(&renewed)).await;
    let third = third.unwrap();
    assert_eq!(claims(&third.refresh_token)["gen"], 2);
    let whoami = bearing(&third.access_token, GetCurrentUserRequest {});
    services.auth_client(None).get_current_user(whoami).await.expect("access tokens are not bound");

    let events = events(services).await;
    let refused: Vec<_> =
        events.iter().filter(|(kind, _)| *kind == "refresh_certificate_mismatch").collect();
    assert_eq!(refused.len(), 8);
    let bare = refused.iter().filter(|(_, detail)| detail.starts_with("no certificate; bound to "));
    assert_eq!(bare.count(), 4);
    let others = events.iter().filter(|(kind, _)| kind.starts_with("refresh_")).count();
    assert_eq!(others, 8, "no reuse, and nothing superseded: {events:?}");
}

#[tokio::test]
async fn the_owner_s_client_goes_on_when_it_shows_its_certificate_again() {
    let services = bound().await;
    let me = services.authority.client("me");
    let tokens = services.register("ada", Some(&me)).await;
    let session = async |shown: Option<&Signed>, budget| {
        let builder = Session::builder(services.auth(shown)).budget(budget);
        let session = builder.connect().await.unwrap();
        session.set_tokens(tokens.clone()).await.unwrap();
        session
    };
    let bare = session(None, Duration::from_secs(1)).await;
    let refused = bare.refresh().await.unwrap_err();
    assert!(matches!(refused, AuthenticationError::Unreachable { .. }), "{refused:?}");
    assert!(bare.access_token().is_some(), "it is signed in");
    session(Some(&me), PATIENCE).await.refresh().await.unwrap();
}

#[tokio::test]
async fn only_a_session_that_began_with_a_certificate_is_bound_and_only_if_that_is_set() {
    let services = bound().await;
    let me = services.authority.client("me");
    let bare = services.register("bare", None).await;
    refresh(&services, &bare.refresh_token, &key(FIRST), Some(&me)).await.unwrap();
    refresh(&services, &bare.refresh_token, &key(FIRST), None).await.unwrap();
    let off = Encrypted::start(ClientAuth::Optional, |_| {}).await;
    let me = off.authority.client("me");
    let unbound = off.register("ada", Some(&me)).await;
    refresh(&off, &unbound.refresh_token, &key(FIRST), None).await.unwrap();
}

/// It is the token that says it, so neither a database that never heard of the session nor a setting
/// that was taken back sets it free.
#[tokio::test]
async fn a_bound_session_stays_so_after_a_restore_and_without_the_setting() {
    let services = bound().await;
    let me = services.authority.client("me");
    services.register("ada", Some(&me)).await;
    let Encrypted { world, authority } = services;
    let world = world.restart_auth_after(|database, _| database.back_up()).await;
    let services = Encrypted { world, authority };
    let tokens = login(&services, "ada", Some(&me)).await;
    let Encrypted { world, authority } = services;
    let world = world.restart_auth_after(|database, config| {
        database.restore();
        config.bind_sessions = false;
    });
    let services = Encrypted { world: world.await, authority };
    let stolen = refresh(&services, &tokens.refresh_token, &key(FIRST), None).await;
    assert_eq!(reason(stolen), MISMATCH);
    let next = refresh(&services, &tokens.refresh_token, &key(FIRST), Some(&me)).await.unwrap();
    let stolen = refresh(&services, &next.refresh_token, &key(SECOND), None).await;
    assert_eq!(reason(stolen), MISMATCH, "its successors are bound too");
    let refreshes = events(services).await;
    let adopted = refreshes.iter().filter(|(kind, _)| *kind == "refresh_adopted").count();
    assert_eq!(adopted, 1);
}
