//! Sessions that renew by credentials of their own, as services do.

mod common;

use std::time::Duration;

use client_sdk::{
    AuthenticationError as E, Event, OnUnreachable, Renewal, Session, SessionState, SignOutReason,
    TokenPair,
    store::MemoryStore,
    testing::{ScriptedRefresher, Step, pair},
};
use common::{Server, call, expired, ok, refusal, settle, token_of};
use tokio::time::Instant;
use tonic::Code;

async fn session(refresher: &ScriptedRefresher) -> Session {
    Session::with_credentials(refresher.clone()).connect().await.expect("nothing is misconfigured")
}

/// What a service is given: no refresh token.
fn token(n: u64) -> Step {
    let token = TokenPair::new(format!("service-{n}"));
    // Each login is another session to the issuer.
    let token = token.session_id(format!("login-{n}"));
    let token = token.access_expires_in(Duration::from_secs(900));
    Step::Answer(Renewal::Renewed(token.refresh_after(Duration::from_secs(700))))
}

fn rejected(reason: &str) -> Step {
    Step::Answer(Renewal::Rejected { reason: reason.to_owned() })
}

fn is_rejected(status: &tonic::Status, reason: &str) -> bool {
    matches!(E::from_status(status), Some(E::Rejected { reason: r }) if r == reason)
}

/// The pause after a rejection.
const PAUSE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_thousand_first_calls_make_one_login_and_each_is_sent_once() {
    let refresher = ScriptedRefresher::new().then(token(1));
    let session = session(&refresher).await;
    assert!(matches!(&*session.state().borrow(), SessionState::SignedIn { .. }));
    assert!(session.access_token().is_none(), "nothing was asked for yet");
    assert_eq!(refresher.count(), 0);
    let server = Server::new(|_| ok());
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let (session, server) = (session.clone(), server.clone());
            tokio::spawn(async move { call(&session, &server).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    assert_eq!((refresher.count(), server.count()), (1, 1000));
    assert!(server.tokens().iter().all(|token| token == "service-1"));
    assert_eq!(refresher.requests()[0].refresh_token(), "", "there is none to spend");
}

#[tokio::test(start_paused = true)]
async fn no_call_goes_out_without_a_token_even_if_nothing_is_renewed_ahead() {
    let refresher = ScriptedRefresher::new().then(token(1));
    let builder = Session::with_credentials(refresher.clone()).proactive(false);
    let session = builder.connect().await.unwrap();
    let server = Server::new(|_| ok());
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!(server.tokens(), ["service-1"]);
}

#[tokio::test(start_paused = true)]
async fn it_logs_in_again_ahead_of_the_end_and_after_a_refusal() {
    let refresher = ScriptedRefresher::new().then(token(1)).then(token(2)).then(token(3));
    let session = session(&refresher).await;
    let server = Server::new(|sent| if sent.token == "service-2" { expired() } else { ok() });
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    tokio::time::advance(Duration::from_secs(701)).await;
    assert_eq!(call(&session, &server).await.code(), Code::Ok, "with the old one");
    settle().await;
    assert_eq!(refresher.count(), 2);
    assert_eq!(call(&session, &server).await.code(), Code::Ok, "replayed");
    assert_eq!(refresher.count(), 3);
    assert_eq!(server.tokens(), ["service-1", "service-1", "service-2", "service-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_told_to_all_and_tried_again_after_a_pause() {
    let refresher = ScriptedRefresher::new()
        .then(rejected("ACCOUNT_DISABLED"))
        .then(rejected("ACCOUNT_DISABLED"))
        .then(token(1));
    let session = session(&refresher).await;
    let mut events = session.events();
    let server = Server::new(|_| ok());
    let began = Instant::now();
    for _ in 0..100 {
        assert!(is_rejected(&call(&session, &server).await, "ACCOUNT_DISABLED"));
    }
    let forced = session.refresh().await;
    assert!(matches!(forced, Err(E::Rejected { .. })), "{forced:?}");
    assert_eq!((refresher.count(), server.count()), (1, 0));
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody waited");
    assert!(matches!(events.try_recv(), Some(Event::RefreshFailing { .. })));
    assert_eq!(events.try_recv(), None, "it is not signed out");

    tokio::time::advance(PAUSE - Duration::from_millis(1)).await;
    assert!(is_rejected(&call(&session, &server).await, "ACCOUNT_DISABLED"));
    assert_eq!(refresher.count(), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(is_rejected(&call(&session, &server).await, "ACCOUNT_DISABLED"));
    assert_eq!(refresher.count(), 2);
    // The account has been enabled again.
    tokio::time::advance(PAUSE).await;
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!((refresher.count(), server.count()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_whose_renewal_is_rejected_is_not_sent_on_and_on() {
    let refresher = ScriptedRefresher::new().then(token(1)).then(rejected("ACCOUNT_DISABLED"));
    let session = session(&refresher).await;
    let server = Server::new(|_| refusal("SESSION_REVOKED").into_http());
    for _ in 0..100 {
        assert!(is_rejected(&call(&session, &server).await, "ACCOUNT_DISABLED"));
    }
    assert_eq!((refresher.count(), server.count()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_still_good_outlives_its_renewals_rejection() {
    let refresher = ScriptedRefresher::new().then(token(1));
    let session = session(&refresher).await;
    let server = Server::new(|_| ok());
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    for _ in 0..3 {
        refresher.push(rejected("INVALID_CREDENTIALS"));
    }
    tokio::time::advance(Duration::from_secs(701)).await;
    for _ in 0..10 {
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
        settle().await;
    }
    assert_eq!(refresher.count(), 2, "one attempt a pause");
    assert_eq!(token_of(&session), "service-1");
    tokio::time::advance(Duration::from_secs(200)).await;
    assert!(is_rejected(&call(&session, &server).await, "INVALID_CREDENTIALS"));
    assert_eq!((refresher.count(), server.count()), (3, 11));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_issuer_ends_no_session_with_credentials() {
    let refresher = ScriptedRefresher::new().then_unreachable(100);
    let builder = Session::with_credentials(refresher.clone());
    let builder = builder.on_unreachable(OnUnreachable::SignOut);
    let session = builder.budget(Duration::from_secs(1)).connect().await.unwrap();
    let server = Server::new(|_| ok());
    let status = call(&session, &server).await;
    assert!(matches!(E::from_status(&status), Some(E::Unreachable { .. })), "{status:?}");
    let status = call(&session, &server).await;
    assert!(matches!(E::from_status(&status), Some(E::CoolingDown { .. })), "{status:?}");
    assert!(matches!(&*session.state().borrow(), SessionState::SignedIn { .. }));
}

#[tokio::test(start_paused = true)]
async fn only_a_logout_ends_it_and_nobody_signs_in() {
    let refresher = ScriptedRefresher::new().then(token(1));
    let session = session(&refresher).await;
    let server = Server::new(|_| ok());
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    let refused = session.set_tokens(pair(7)).await;
    assert!(matches!(refused, Err(E::Configuration { .. })), "{refused:?}");
    assert_eq!(token_of(&session), "service-1");
    session.logout().await.unwrap();
    let status = call(&session, &server).await;
    assert!(
        matches!(E::from_status(&status), Some(E::SignedOut { reason: SignOutReason::LoggedOut })),
        "{status:?}"
    );
    assert_eq!((refresher.count(), server.count()), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_is_said_before_anything_is_sent() {
    let store = Session::with_credentials(ScriptedRefresher::new()).store(MemoryStore::new());
    let service = |id: &str, secret: &str| Session::service("http://127.0.0.1:1", id, secret);
    for builder in [store, service("", "secret"), service("id", "")] {
        let refused = builder.connect().await;
        assert!(matches!(refused, Err(E::Configuration { .. })), "{refused:?}");
    }
    let builder = service("the-id", "the-secret");
    assert!(!format!("{builder:?}").contains("the-secret"), "{builder:?}");
    let session = builder.connect().await.unwrap();
    let shown = format!("{session:?}");
    assert!(shown.contains("the-id") && !shown.contains("the-secret"), "{shown}");
}
