//! One refresh, whoever goes first: every claim holds under thousands of schedules.
//!
//! `EVERGREEN_SCHEDULES` sets how many each test tries. A schedule that breaks a claim is printed;
//! `shuttle::replay` follows it again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::time::Duration;

use common::{Server, any_order, call, pair_of, signed_in, spawn_call, stored_token, token_of};
use interleaved_sdk::{
    AuthenticationError, Renewal, Session, SessionBuilder, SessionState,
    store::MemoryStore,
    testing::{ScriptedRefresher, Step, pair},
};
use tonic::Code;

// Fault 9, 10, 11, 15: however refusals of one token fall around the commit of its successor,
// they are late, or they join; none of them starts a refresh of its own.
#[test]
fn refusals_around_the_commit_make_one_refresh() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new();
        let session = signed_in(&refresher, |b| b).await;
        let server = Server::refusing(&["access-0"]);
        let calls: Vec<_> = (0..3).map(|_| spawn_call(&session, &server)).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().code(), Code::Ok);
        }
        assert_eq!(refresher.count(), 1);
        assert!(server.sends() <= 6, "a call is sent twice at most");
        assert_eq!(token_of(&session), "access-1");
    });
}

// However the first calls of a session with credentials fall, one login serves them, and none is
// sent without a token.
#[test]
fn first_calls_with_credentials_make_one_login() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new();
        let session = Session::with_credentials(refresher.clone()).connect().await.unwrap();
        let server = Server::refusing(&[""]);
        let calls: Vec<_> = (0..3).map(|_| spawn_call(&session, &server)).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().code(), Code::Ok);
        }
        assert_eq!((refresher.count(), server.sends()), (1, 3));
        assert_eq!(token_of(&session), "access-1");
    });
}

// However a rejection of credentials falls among calls, all that it serves are told of it, the next
// attempt waits for its pause, and the session is still there for it.
#[test]
fn calls_around_a_rejection_of_credentials_are_told_of_it() {
    any_order(|| async {
        let reason = "ACCOUNT_DISABLED".to_owned();
        let refresher = ScriptedRefresher::new().then(Step::Answer(Renewal::Rejected { reason }));
        let session = Session::with_credentials(refresher.clone()).connect().await.unwrap();
        let server = Server::refusing(&[""]);
        let calls: Vec<_> = (0..3).map(|_| spawn_call(&session, &server)).collect();
        for call in calls {
            let told = AuthenticationError::from_status(&call.await.unwrap());
            assert!(matches!(told, Some(AuthenticationError::Rejected { .. })), "{told:?}");
        }
        assert_eq!((refresher.count(), server.sends()), (1, 0));
        assert!(matches!(*session.state().borrow(), SessionState::SignedIn { .. }));
    });
}

// Fault 1, 2, 3, 6: whoever is dropped, and whenever, the others get the new token, by one
// refresh, and the store has it.
#[test]
fn a_caller_that_is_dropped_at_any_moment_harms_nobody() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new();
        let store = MemoryStore::new();
        let session = signed_in(&refresher, |b| b.store(store.clone())).await;
        let server = Server::refusing(&["access-0"]);
        let (first, second) = (spawn_call(&session, &server), spawn_call(&session, &server));
        first.abort();
        assert_eq!(second.await.unwrap().code(), Code::Ok);
        assert_eq!(refresher.count(), 1);
        assert_eq!(token_of(&session), "access-1");
        assert_eq!(stored_token(&store).await.as_deref(), Some("access-1"));
    });
}

// Fault 4.
#[test]
fn all_callers_are_dropped_and_the_next_call_uses_what_they_started() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new();
        let session = signed_in(&refresher, |b| b).await;
        let server = Server::refusing(&["access-0"]);
        let alone = spawn_call(&session, &server);
        alone.abort();
        let _ = alone.await;
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
        assert_eq!(refresher.count(), 1);
    });
}

// Fault 14.
#[test]
fn an_early_renewal_and_a_refusal_make_one_refresh() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new();
        let session = Session::custom(refresher.clone()).connect().await.unwrap();
        let due = pair(0).refresh_after(Duration::ZERO);
        session.set_tokens(due).await.unwrap();
        let server = Server::refusing(&["access-0"]);
        let other = spawn_call(&session, &server);
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
        assert_eq!(other.await.unwrap().code(), Code::Ok);
        assert_eq!(refresher.count(), 1);
    });
}

// Fault 12: what the application asks for is newer than what it had when it asked.
#[test]
fn a_forced_refresh_ends_with_a_token_newer_than_the_one_at_hand() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new();
        let session = signed_in(&refresher, |b| b).await;
        let server = Server::refusing(&["access-0"]);
        let refused = spawn_call(&session, &server);
        let before = token_of(&session);
        session.refresh().await.unwrap();
        assert_ne!(token_of(&session), before);
        assert_eq!(refused.await.unwrap().code(), Code::Ok);
        assert!((1..=2).contains(&refresher.count()), "{}", refresher.count());
    });
}

// Fault 12, 21: a token of another process that is refused as well is replaced by an attempt of
// this one's, which a flight for the token before cannot stand in for.
#[test]
fn an_adopted_token_that_is_refused_too_is_renewed_once() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new();
        let store = MemoryStore::new();
        let one = signed_in(&refresher, |b| b.store(store.clone())).await;
        let two = Session::custom(refresher.clone()).store(store).connect().await.unwrap();
        let server = Server::refusing(&["access-0", "access-1"]);
        let calls: Vec<_> = [&one, &one, &two]
            .into_iter()
            .map(|session| {
                let (session, server) = (session.clone(), server.clone());
                tokio::spawn(async move {
                    // A call is replayed once, so it may have to be made again.
                    while call(&session, &server).await.code() != Code::Ok {}
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(refresher.count(), 2);
        assert_eq!((token_of(&one), token_of(&two)), ("access-2".into(), "access-2".into()));
    });
}

// Fault 21.
#[test]
fn two_processes_on_one_store_make_one_refresh_between_them() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new();
        let store = MemoryStore::new();
        let one = signed_in(&refresher, |b| b.store(store.clone())).await;
        let two = Session::custom(refresher.clone()).store(store).connect().await.unwrap();
        let server = Server::refusing(&["access-0"]);
        let calls = [spawn_call(&one, &server), spawn_call(&two, &server)];
        for call in calls {
            assert_eq!(call.await.unwrap().code(), Code::Ok);
        }
        assert_eq!(refresher.count(), 1);
    });
}

// Fault 11: another identity has a flight of its own.
#[test]
fn two_identities_do_not_wait_for_each_other() {
    any_order(|| async {
        let (hers, his) = (ScriptedRefresher::new().then(Step::Hold), ScriptedRefresher::new());
        let she = signed_in(&hers, |b| b).await;
        let he = signed_in(&his, |b| b).await;
        let server = Server::refusing(&["access-0"]);
        let waiting = spawn_call(&she, &server);
        assert_eq!(call(&he, &server).await.code(), Code::Ok);
        hers.release();
        assert_eq!(waiting.await.unwrap().code(), Code::Ok);
        assert_eq!((hers.count(), his.count()), (1, 1));
    });
}

// Fault 16.
#[test]
fn a_refresh_answer_never_lands_on_a_later_login() {
    any_order(|| async { login_as_somebody_else(When::AtOnce).await });
    any_order(|| async { login_as_somebody_else(When::OnTheWire).await });
}

async fn login_as_somebody_else(when: When) {
    let refresher = ScriptedRefresher::new();
    let store = MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let server = Server::refusing(&["access-0"]);
    let old = spawn_call(&session, &server);
    when.comes(&refresher).await;
    session.set_tokens(pair_of("hers", "s2")).await.unwrap();
    // The old call succeeds before the login, or not at all.
    let status = old.await.unwrap();
    assert!(matches!(status.code(), Code::Ok | Code::Unauthenticated), "{status:?}");
    assert_eq!(token_of(&session), "hers");
    assert_eq!(stored_token(&store).await.as_deref(), Some("hers"));
}

// Fault 17.
#[test]
fn a_logout_at_any_moment_of_a_refresh_is_final() {
    any_order(|| async { logout_during_a_refresh(When::AtOnce).await });
    any_order(|| async { logout_during_a_refresh(When::OnTheWire).await });
}

async fn logout_during_a_refresh(when: When) {
    let refresher = ScriptedRefresher::new();
    let store = MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let server = Server::refusing(&["access-0"]);
    let caught = spawn_call(&session, &server);
    when.comes(&refresher).await;
    session.logout().await.unwrap();
    let _ = caught.await.unwrap();
    assert!(session.access_token().is_none());
    assert!(matches!(*session.state().borrow(), SessionState::SignedOut { .. }));
    assert_eq!(stored_token(&store).await, None);
    assert!(matches!(session.refresh().await, Err(AuthenticationError::SignedOut { .. })));
}

/// When somebody signs in or out under a call.
enum When {
    AtOnce,
    /// Once the refresh that the call caused has been sent.
    OnTheWire,
}

impl When {
    async fn comes(self, refresher: &ScriptedRefresher) {
        match self {
            Self::AtOnce => {}
            Self::OnTheWire => refresher.reached(1).await,
        }
    }
}

// Fault 28: who was told of a failure and asks again does not find the failed flight.
#[test]
fn after_a_failure_the_next_call_refreshes_again() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new().then_unreachable(1);
        let impatient = |b: SessionBuilder| b.budget(Duration::ZERO).cool_down(Duration::ZERO);
        let session = signed_in(&refresher, impatient).await;
        let server = Server::refusing(&["access-0"]);
        assert_eq!(call(&session, &server).await.code(), Code::Unavailable);
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
        assert_eq!(refresher.count(), 2);
    });
}

// Fault 25: a rejection is one error for all, and nobody sends a spent token again.
#[test]
fn a_rejection_reaches_everybody_and_is_asked_for_once() {
    any_order(|| async {
        let refresher = ScriptedRefresher::new()
            .then(Step::Answer(Renewal::Rejected { reason: "REFRESH_TOKEN_REUSED".into() }));
        let session = signed_in(&refresher, |b| b).await;
        let server = Server::refusing(&["access-0"]);
        let calls: Vec<_> = (0..2).map(|_| spawn_call(&session, &server)).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().code(), Code::Unauthenticated);
        }
        assert_eq!(refresher.count(), 1);
        assert!(session.access_token().is_none());
    });
}
