//! One refresh for everybody, whoever goes away meanwhile.

mod common;

use std::time::Duration;

use client_sdk::{
    AuthenticationError as E, Event, OnUnreachable, Renewal, Session, TokenPair,
    testing::{ScriptedRefresher, Step, pair, unreachable_for},
};
use common::{Server, call, expired, ok, settle, signed_in, token_of};
use tonic::Code;

/// `n` calls at once, all refused.
fn herd(
    session: &Session,
    server: &Server,
    n: usize,
) -> Vec<tokio::task::JoinHandle<tonic::Status>> {
    (0..n)
        .map(|_| {
            let (session, server) = (session.clone(), server.clone());
            tokio::spawn(async move { call(&session, &server).await })
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn three_refused_calls_make_one_refresh_and_three_replays() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server { latency: Duration::from_millis(5), ..Server::refusing("access-0") };
    for call in herd(&session, &server, 3) {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    assert_eq!((refresher.count(), server.count()), (1, 6));
}

// Fault 1, 3.
#[tokio::test(start_paused = true)]
async fn the_caller_that_started_the_refresh_is_dropped_while_it_is_on_the_wire() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    let mut events = session.events();
    let starter = herd(&session, &server, 1).remove(0);
    refresher.reached(1).await;
    let waiters = herd(&session, &server, 4);
    settle().await;
    starter.abort();
    settle().await;
    refresher.release();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().code(), Code::Ok);
    }
    assert_eq!(refresher.count(), 1);
    assert_eq!(token_of(&session), "access-1");
    assert_eq!(events.recv().await, Some(Event::Refreshed));
    // The spent token is not spent again.
    session.refresh().await.unwrap();
    assert_eq!(refresher.requests()[1].refresh_token(), "refresh-1");
}

// Fault 2: every flight has a channel of its own, made when it starts.
#[tokio::test(start_paused = true)]
async fn a_caller_dropped_before_the_send_leaves_no_result_of_an_earlier_flight() {
    let refresher = ScriptedRefresher::new();
    let store = client_sdk::store::MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    session.refresh().await.unwrap();
    let lock = client_sdk::store::Store::lock(&store).await.unwrap();
    let server = Server::refusing("access-1");
    let starter = herd(&session, &server, 1).remove(0);
    settle().await;
    starter.abort();
    let waiter = herd(&session, &server, 1).remove(0);
    settle().await;
    assert_eq!(refresher.count(), 1);
    drop(lock);
    assert_eq!(waiter.await.unwrap().code(), Code::Ok);
    assert_eq!(server.tokens().last().unwrap(), "access-2");
    assert_eq!(refresher.count(), 2);
}

// Fault 4.
#[tokio::test(start_paused = true)]
async fn all_callers_are_dropped_and_the_result_is_still_stored() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let store = client_sdk::store::MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let server = Server::refusing("access-0");
    let callers = herd(&session, &server, 5);
    refresher.reached(1).await;
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    settle().await;
    refresher.release();
    settle().await;
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!(refresher.count(), 1);
    let stored = client_sdk::store::Store::load(&store).await.unwrap().unwrap();
    assert_eq!(format!("{:?}", stored.pair()), format!("{:?}", pair(1)));
    assert!(stored.attempt().is_none());
}

// Fault 5.
#[tokio::test(start_paused = true)]
async fn a_panic_in_the_refresher_is_an_error_to_every_waiter_and_the_next_call_tries_again() {
    let refresher = ScriptedRefresher::new().then(Step::Panic);
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    for call in herd(&session, &server, 3) {
        let status = call.await.unwrap();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(matches!(E::from_status(&status), Some(E::Interrupted)));
    }
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!(refresher.count(), 2);
}

// Fault 6.
#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_has_no_effect() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    let mut calls = herd(&session, &server, 3);
    refresher.reached(1).await;
    calls.remove(1).abort();
    refresher.release();
    for call in calls {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    assert_eq!(refresher.count(), 1);
}

// Fault 7.
#[test]
fn a_session_outlives_the_runtime_that_made_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refresher = ScriptedRefresher::new().then(Step::Never);
    let server = Server::refusing("access-0");
    let first = runtime();
    let session = first.block_on(signed_in(&refresher, |b| b));
    // A flight that dies with its runtime.
    first.block_on(async {
        drop(herd(&session, &server, 1));
        refresher.reached(1).await;
    });
    drop(first);
    let second = runtime();
    assert_eq!(second.block_on(call(&session, &server)).code(), Code::Ok);
    assert_eq!(refresher.count(), 2);
}

// Fault 8.
#[tokio::test(start_paused = true)]
async fn a_refresh_endpoint_that_never_answers_is_bounded_by_its_own_timeout() {
    let refresher = ScriptedRefresher::new().then(Step::Never);
    let session = signed_in(&refresher, |b| b.attempt_timeout(Duration::from_secs(3))).await;
    let server = Server::refusing("access-0");
    let start = tokio::time::Instant::now();
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert!(start.elapsed() < Duration::from_secs(4));
    assert_eq!(refresher.count(), 2);
}

// Fault 9.
#[tokio::test(start_paused = true)]
async fn a_late_refusal_of_an_older_token_is_replayed_without_a_refresh() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let renewed = session.clone();
    let server = Server::new(move |sent| {
        if sent.token == "access-0" {
            // The refresh is over by the time that the refusal arrives.
            futures_util::FutureExt::now_or_never(renewed.set_tokens(pair(1))).unwrap().unwrap();
            return expired();
        }
        ok()
    });
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!(server.tokens(), ["access-0", "access-1"]);
    assert_eq!(refresher.count(), 0);
}

// Fault 11, 13, 15.
#[tokio::test(start_paused = true)]
async fn refusals_during_a_flight_join_it_from_any_clone_and_another_identity_has_its_own() {
    let refresher = ScriptedRefresher::new().then(Step::Hold).then(Step::Hold);
    let (ada, bob) = (signed_in(&refresher, |b| b).await, signed_in(&refresher, |b| b).await);
    let server = Server::refusing("access-0");
    let mut calls = herd(&ada, &server, 1);
    refresher.reached(1).await;
    calls.extend(herd(&ada.clone(), &server, 2));
    calls.extend(herd(&bob, &server, 2));
    refresher.reached(2).await;
    settle().await;
    assert_eq!(refresher.count(), 2);
    refresher.release();
    refresher.release();
    for call in calls {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    assert_eq!(refresher.count(), 2);
}

// Fault 12.
#[tokio::test(start_paused = true)]
async fn a_forced_refresh_is_not_satisfied_by_what_another_process_had_saved() {
    let refresher = ScriptedRefresher::new();
    let store = client_sdk::store::MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let other = Session::custom(refresher.clone()).store(store).connect().await.unwrap();
    other.refresh().await.unwrap();
    session.refresh().await.unwrap();
    assert_eq!(refresher.count(), 2);
    assert_eq!(refresher.requests()[1].refresh_token(), "refresh-1");
    assert_eq!(token_of(&session), "access-2");
}

// Fault 14.
#[tokio::test(start_paused = true)]
async fn an_early_renewal_and_a_refusal_in_the_same_tick_make_one_refresh() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    tokio::time::advance(Duration::from_secs(880)).await;
    for call in herd(&session, &server, 5) {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    assert_eq!(refresher.count(), 1);
}

// Fault 16.
#[tokio::test(start_paused = true)]
async fn a_refresh_answer_that_lands_after_a_login_as_someone_else_is_discarded() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let store = client_sdk::store::MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let server = Server::refusing("access-0");
    let caller = herd(&session, &server, 1).remove(0);
    refresher.reached(1).await;
    session.set_tokens(TokenPair::new("bob").refresh_token("bob").session_id("s2")).await.unwrap();
    refresher.release();
    assert_eq!(caller.await.unwrap().code(), Code::Unauthenticated);
    settle().await;
    assert_eq!(token_of(&session), "bob");
    // Ada's call was not sent as Bob.
    assert_eq!(server.tokens(), ["access-0"]);
    let stored = client_sdk::store::Store::load(&store).await.unwrap().unwrap();
    assert!(format!("{stored:?}").contains("s2"));
}

// Fault 24, 27, 28.
#[tokio::test(start_paused = true)]
async fn a_failed_flight_is_one_error_for_all_and_after_the_cool_down_the_next_refusal_refreshes() {
    let refresher =
        ScriptedRefresher::new().then(Step::Answer(unreachable_for(Some(Duration::from_secs(40)))));
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    let mut events = session.events();
    for call in herd(&session, &server, 10) {
        let status = call.await.unwrap();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("refresh"));
        assert!(matches!(
            E::from_status(&status),
            Some(E::Unreachable { .. } | E::CoolingDown { .. })
        ));
    }
    assert_eq!(refresher.count(), 1);
    assert!(matches!(events.recv().await, Some(Event::RefreshFailing { .. })));

    let status = call(&session, &server).await;
    assert!(matches!(E::from_status(&status), Some(E::CoolingDown { .. })));
    assert_eq!(refresher.count(), 1);

    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!(refresher.count(), 2);
    assert_eq!(
        refresher.requests()[0].idempotency_key(),
        refresher.requests()[1].idempotency_key()
    );
}

// Fault 25.
#[tokio::test(start_paused = true)]
async fn a_rejection_ends_the_session_once_and_later_calls_fail_fast_until_a_login() {
    let reason = "REFRESH_TOKEN_EXPIRED".to_owned();
    let refresher =
        ScriptedRefresher::new().then(Step::Answer(Renewal::Rejected { reason: reason.clone() }));
    let store = client_sdk::store::MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let server = Server::refusing("access-0");
    let mut events = session.events();
    for call in herd(&session, &server, 5) {
        let status = call.await.unwrap();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(matches!(E::from_status(&status), Some(E::Rejected { .. })), "{status:?}");
    }
    assert!(matches!(events.recv().await, Some(Event::SignedOut { .. })));
    assert_eq!(events.try_recv(), None);
    assert!(client_sdk::store::Store::load(&store).await.unwrap().is_none());

    let sent = server.count();
    let status = call(&session, &server).await;
    assert!(matches!(E::from_status(&status), Some(E::SignedOut { .. })));
    assert_eq!((refresher.count(), server.count()), (1, sent));

    session.set_tokens(pair(7)).await.unwrap();
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
}

// Fault 25: the issuer is not asked twice about one token, wherever it comes from.
#[tokio::test(start_paused = true)]
async fn a_rejected_refresh_token_is_never_sent_again() {
    let reason = "REFRESH_TOKEN_REUSED".to_owned();
    let refresher = ScriptedRefresher::new().then(Step::Answer(Renewal::Rejected { reason }));
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    for _ in 0..2 {
        let mut events = session.events();
        let status = call(&session, &server).await;
        let error = E::from_status(&status);
        assert!(matches!(error, Some(E::Rejected { .. })), "{status:?}");
        // Each time the application is told to show its login.
        assert!(matches!(events.try_recv(), Some(Event::SignedOut { .. })));
        assert!(session.access_token().is_none());
        session.set_tokens(pair(0)).await.unwrap();
    }
    assert_eq!(refresher.count(), 1);
    session.set_tokens(pair(7)).await.unwrap();
    session.refresh().await.unwrap();
    assert_eq!(refresher.count(), 2);
}

// Fault 26.
#[tokio::test(start_paused = true)]
async fn an_early_refresh_fails_and_calls_go_on_with_the_good_token() {
    let refresher = ScriptedRefresher::new().then_unreachable(1000);
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("none");
    tokio::time::advance(Duration::from_secs(800)).await;
    for _ in 0..20 {
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(refresher.count() > 1);
    assert_eq!(server.count(), 20);
}

// Fault 29.
#[tokio::test(start_paused = true)]
async fn a_server_that_always_refuses_sees_two_sends_per_call_and_a_bounded_number_of_refreshes() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::new(|_| expired());
    for n in 1..=5 {
        let status = call(&session, &server).await;
        assert!(matches!(E::from_status(&status), Some(E::Refused { .. })));
        assert_eq!((refresher.count(), server.count()), (n, 2 * n));
    }
    for _ in 0..20 {
        let status = call(&session, &server).await;
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(matches!(E::from_status(&status), Some(E::WindowSpent)));
    }
    assert_eq!(refresher.count(), 5);
    tokio::time::advance(Duration::from_secs(30)).await;
    call(&session, &server).await;
    assert_eq!(refresher.count(), 6);
}

#[tokio::test(start_paused = true)]
async fn one_acceptance_clears_the_window() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    for n in 0..20_usize {
        let server =
            Server::new(
                move |sent| {
                    if sent.token == format!("access-{n}") { expired() } else { ok() }
                },
            );
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
    }
    assert_eq!(refresher.count(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_policy_may_sign_out_when_the_token_service_is_unreachable() {
    let refresher = ScriptedRefresher::new().then_unreachable(1000);
    let session = signed_in(&refresher, |b| b.on_unreachable(OnUnreachable::SignOut)).await;
    session.refresh().await.unwrap_err();
    assert!(session.access_token().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_run_out_is_renewed_before_the_call() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    tokio::time::advance(Duration::from_secs(900)).await;
    for call in herd(&session, &server, 3) {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    assert_eq!((refresher.count(), server.tokens()), (1, vec!["access-1".to_owned(); 3]));
}

// Fault 40: a suspend that the monotonic clock does not count.
#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_know_that_its_token_ran_out_recovers_at_the_first_call() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b.proactive(false)).await;
    let server = Server::refusing("access-0");
    tokio::time::advance(Duration::from_secs(1500)).await;
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!((refresher.count(), server.count()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn what_the_application_asks_for_does_not_spend_the_window() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    for _ in 0..20 {
        session.refresh().await.unwrap();
    }
    assert_eq!(call(&session, &Server::refusing("access-20")).await.code(), Code::Ok);
    assert_eq!(refresher.count(), 21);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_with_a_token_known_to_have_run_out_make_one_refresh_and_no_replay() {
    let refresher = ScriptedRefresher::new();
    let session = Session::custom(refresher.clone()).connect().await.unwrap();
    session.set_tokens(pair(0).access_expires_in(Duration::ZERO)).await.unwrap();
    let server = Server::refusing("access-0");
    ten_thousand_calls(&session, &server).await;
    assert_eq!((refresher.count(), server.count()), (1, 10_000));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_with_a_token_that_only_the_server_knows_to_be_dead_make_one_refresh() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b.proactive(false)).await;
    // All are on the wire before the first is refused.
    let latency = Duration::from_millis(10);
    let server = Server { latency, ..Server::refusing("access-0") };
    ten_thousand_calls(&session, &server).await;
    assert_eq!((refresher.count(), server.count()), (1, 20_000));
}

async fn ten_thousand_calls(session: &Session, server: &Server) {
    for call in herd(session, server, 10_000) {
        assert_eq!(call.await.expect("it does not panic").code(), Code::Ok);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_two_second_tokens_is_never_stopped_by_the_window() {
    let short = |n| pair(n).access_expires_in(Duration::from_secs(2));
    let refresher = ScriptedRefresher::new();
    for n in 1..=400 {
        refresher.push(Step::Answer(Renewal::Renewed(short(n))));
    }
    let session = Session::custom(refresher.clone()).connect().await.expect("no store to fail");
    session.set_tokens(short(0)).await.expect("it never fails");
    let server = Server::refusing("none");
    for _ in 0..1_000 {
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
        tokio::time::advance(Duration::from_millis(500)).await;
        settle().await;
    }
    // One about every two seconds of these five hundred.
    assert!((240..=400).contains(&refresher.count()), "{}", refresher.count());
}
