//! No lost answer, crash or rival process costs the session.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use client_sdk::{
    AuthenticationError as E, Event, Renewal, Session, SessionState, SignOutReason,
    store::{FileStore, MemoryStore, Record, Store, StoreError, StoreFuture, StoreGuard},
    testing::{ScriptedRefresher, Step, pair, unreachable_for},
};
use common::{Server, call, refreshing, settle, signed_in, token_of};
use tonic::Code;

/// A memory store whose saves fail when told to.
#[derive(Clone, Debug, Default)]
struct Frail {
    inner: MemoryStore,
    broken: Arc<AtomicBool>,
    /// How long a save takes.
    slow: Arc<AtomicU64>,
}

#[derive(Debug)]
struct FrailGuard(Box<dyn StoreGuard>, Frail);

impl Store for Frail {
    fn lock(&self) -> StoreFuture<'_, Box<dyn StoreGuard>> {
        Box::pin(async {
            let guard = self.inner.lock().await?;
            Ok(Box::new(FrailGuard(guard, self.clone())) as Box<dyn StoreGuard>)
        })
    }

    fn load(&self) -> StoreFuture<'_, Option<Record>> {
        self.inner.load()
    }
}

impl StoreGuard for FrailGuard {
    fn load(&mut self) -> StoreFuture<'_, Option<Record>> {
        self.0.load()
    }

    fn save<'a>(&'a mut self, record: &'a Record) -> StoreFuture<'a, ()> {
        if self.1.broken.load(SeqCst) {
            return Box::pin(async { Err(StoreError::new("disk full")) });
        }
        Box::pin(async {
            let slow = self.1.slow.load(SeqCst);
            tokio::time::sleep(Duration::from_millis(slow)).await;
            self.0.save(record).await
        })
    }

    fn clear(&mut self) -> StoreFuture<'_, ()> {
        self.0.clear()
    }
}

async fn restored(refresher: &ScriptedRefresher, store: impl Store) -> Session {
    Session::custom(refresher.clone()).store(store).connect().await.unwrap()
}

async fn stored(store: &impl Store) -> Record {
    store.load().await.unwrap().expect("a record")
}

fn keys(refresher: &ScriptedRefresher) -> Vec<String> {
    refresher.requests().iter().map(|r| r.idempotency_key().to_owned()).collect()
}

// Fault 18, 64.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    let refresher = ScriptedRefresher::new().then_unreachable(3);
    let session = signed_in(&refresher, |b| b).await;
    session.refresh().await.unwrap();
    let keys = keys(&refresher);
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| *key == keys[0]));
    session.refresh().await.unwrap();
    assert_ne!(refresher.requests()[4].idempotency_key(), keys[0]);
}

// Fault 19.
#[tokio::test(start_paused = true)]
async fn after_a_crash_between_the_answer_and_the_save_the_same_attempt_is_repeated() {
    let refresher = ScriptedRefresher::new().then(Step::Never);
    let store = MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let crashed = refreshing(&session);
    refresher.reached(1).await;
    // The store as the crash leaves it: the kernel frees the lock, the record stays.
    let left = MemoryStore::new();
    left.lock().await.unwrap().save(&stored(&store).await).await.unwrap();
    crashed.abort();

    let session = restored(&refresher, left.clone()).await;
    session.refresh().await.unwrap();
    let keys = keys(&refresher);
    assert_eq!(keys[0], keys[1]);
    assert_eq!(refresher.requests()[1].refresh_token(), "refresh-0");
    assert!(stored(&left).await.attempt().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_key_is_in_the_store_before_the_attempt_is_sent() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let store = MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let refresh = tokio::spawn(async move { session.refresh().await });
    refresher.reached(1).await;
    assert!(stored(&store).await.attempt().is_some());
    refresher.release();
    refresh.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_if_the_key_cannot_be_written() {
    let refresher = ScriptedRefresher::new();
    let store = Frail::default();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    store.broken.store(true, SeqCst);
    let server = Server::refusing("access-0");
    let status = call(&session, &server).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(matches!(E::from_status(&status), Some(E::Store { .. })));
    assert_eq!(refresher.count(), 0);
}

// Fault 20.
#[tokio::test(start_paused = true)]
async fn a_pair_that_could_not_be_saved_is_used_and_nothing_is_sent_until_it_is() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let store = Frail::default();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let mut events = session.events();
    let refresh = refreshing(&session);
    refresher.reached(1).await;
    store.broken.store(true, SeqCst);
    refresher.release();
    refresh.await.unwrap().unwrap();
    assert_eq!(events.recv().await, Some(Event::Refreshed));
    assert!(matches!(events.recv().await, Some(Event::SaveFailed { .. })));
    assert_eq!(token_of(&session), "access-1");
    assert_eq!(call(&session, &Server::refusing("access-0")).await.code(), Code::Ok);

    // The store still holds the old attempt, for a process that may repeat it.
    assert!(stored(&store).await.attempt().is_some());
    assert!(matches!(session.refresh().await, Err(E::Store { .. })));
    session.reload().await.unwrap();
    assert_eq!((refresher.count(), token_of(&session).as_str()), (1, "access-1"));

    store.broken.store(false, SeqCst);
    tokio::time::advance(Duration::from_secs(5)).await;
    session.refresh().await.unwrap();
    assert_eq!(refresher.requests()[1].refresh_token(), "refresh-1");
    assert_ne!(keys(&refresher)[0], keys(&refresher)[1]);
    assert_eq!(format!("{:?}", stored(&store).await.pair()), format!("{:?}", pair(2)));
}

// Fault 66: the other process repeats the old attempt and gets the same successor.
#[tokio::test(start_paused = true)]
async fn another_process_takes_over_after_a_failed_save_and_both_go_on_with_its_pair() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let store = Frail::default();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let refresh = refreshing(&session);
    refresher.reached(1).await;
    store.broken.store(true, SeqCst);
    refresher.release();
    refresh.await.unwrap().unwrap();
    store.broken.store(false, SeqCst);

    refresher.push(Step::Answer(Renewal::Renewed(pair(1))));
    let other = restored(&refresher, store.clone()).await;
    other.refresh().await.unwrap();
    assert_eq!(keys(&refresher)[0], keys(&refresher)[1]);
    refresher.push(Step::Answer(Renewal::Renewed(pair(2))));
    session.refresh().await.unwrap();
    assert_eq!(refresher.requests()[2].refresh_token(), "refresh-1");
}

// Fault 21.
#[tokio::test]
async fn two_processes_on_one_file_make_one_refresh_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let open = || FileStore::open(folder.path().join("tokens.json")).unwrap();
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let first = signed_in(&refresher, |b| b.store(open())).await;
    let second = restored(&refresher, open()).await;
    let server = Server::refusing("access-0");
    let calls: Vec<_> = [&first, &second]
        .into_iter()
        .map(|session| {
            let (session, server) = (session.clone(), server.clone());
            tokio::spawn(async move { call(&session, &server).await })
        })
        .collect();
    refresher.reached(1).await;
    refresher.release();
    for call in calls {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    assert_eq!(refresher.count(), 1);
    assert_eq!((token_of(&first), token_of(&second)), ("access-1".into(), "access-1".into()));
}

// Fault 22: a store whose lock was lost over a suspend is read again before the send.
#[tokio::test(start_paused = true)]
async fn what_changed_while_the_process_slept_is_read_before_the_next_send() {
    let refresher =
        ScriptedRefresher::new().then(Step::Answer(unreachable_for(Some(Duration::from_secs(5)))));
    let store = MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let call = tokio::spawn({
        let session = session.clone();
        async move { call(&session, &Server::refusing("access-0")).await }
    });
    refresher.reached(1).await;
    settle().await;
    // Another process, which believes the lock to be free, has rotated meanwhile.
    let other = MemoryStore::new();
    let rival = signed_in(&ScriptedRefresher::new(), |b| b.store(other.clone())).await;
    rival.refresh().await.unwrap();
    store.overwrite(other.load().await.unwrap());
    assert_eq!(call.await.unwrap().code(), Code::Ok);
    assert_eq!((refresher.count(), token_of(&session).as_str()), (1, "access-1"));
}

// Fault 23.
#[tokio::test]
async fn a_lock_that_cannot_be_had_is_a_retryable_error_and_never_an_unlocked_refresh() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path().join("tokens.json")).unwrap();
    let refresher = ScriptedRefresher::new();
    let budget = Duration::from_millis(100);
    let session =
        signed_in(&refresher, |b| b.store(store.clone()).budget(budget).cool_down(budget / 100))
            .await;
    let held = store.lock().await.unwrap();
    assert!(matches!(session.refresh().await, Err(E::Store { .. })));
    assert_eq!(refresher.count(), 0);
    drop(held);
    tokio::time::sleep(budget / 50).await;
    session.refresh().await.unwrap();
}

// Fault 44, the client's side.
#[tokio::test(start_paused = true)]
async fn a_superseded_client_that_finds_nothing_newer_makes_exactly_one_more_attempt() {
    let refresher = ScriptedRefresher::new().then(Step::Answer(Renewal::Superseded));
    let session = signed_in(&refresher, |b| b).await;
    session.refresh().await.unwrap();
    let requests = refresher.requests();
    assert_eq!(requests.len(), 2);
    assert!(!requests[0].after_superseded() && requests[1].after_superseded());
    assert_ne!(requests[0].idempotency_key(), requests[1].idempotency_key());
    assert_eq!(requests[1].refresh_token(), "refresh-0");

    refresher.push(Step::Answer(Renewal::Superseded));
    refresher.push(Step::Answer(Renewal::Superseded));
    assert!(matches!(session.refresh().await, Err(E::Unreachable { .. })));
    assert_eq!(refresher.count(), 4);
}

// Fault 17.
#[tokio::test(start_paused = true)]
async fn a_logout_during_a_refresh_lets_nothing_come_back_to_life() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let store = MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let refresh = refreshing(&session);
    refresher.reached(1).await;
    session.logout().await.unwrap();
    refresher.release();
    assert!(matches!(refresh.await.unwrap(), Err(E::SignedOut { .. })));
    settle().await;
    assert!(session.access_token().is_none());
    assert!(store.load().await.unwrap().is_none());
    let reason = SignOutReason::LoggedOut;
    assert_eq!(*session.state().borrow(), SessionState::SignedOut { reason });
}

#[tokio::test(start_paused = true)]
async fn a_logout_in_another_process_is_noticed_at_the_next_refresh() {
    let refresher = ScriptedRefresher::new();
    let store = MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    restored(&refresher, store).await.logout().await.unwrap();
    let status = call(&session, &Server::refusing("access-0")).await;
    let reason = SignOutReason::Elsewhere;
    assert!(matches!(E::from_status(&status), Some(E::SignedOut { reason: r }) if r == reason));
    assert_eq!(refresher.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stored_pair_that_only_looks_run_out_is_used_if_the_refresh_does_not_get_through() {
    use token::clock::{ManualClock, Timestamp};
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_000)));
    let refresher = ScriptedRefresher::new().then_unreachable(1000);
    let store = MemoryStore::new();
    signed_in(&refresher, |b| b.store(store.clone()).clock(clock.clone())).await;
    clock.set(Timestamp::from_unix_seconds(10_000));
    let session =
        Session::custom(refresher.clone()).store(store).clock(clock).connect().await.unwrap();
    let server = Server::refusing("none");
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert!(refresher.count() > 0);
    assert_eq!(server.tokens(), ["access-0"]);
}

// Processes anchor their clocks when they start, so no two of them agree.
#[tokio::test(start_paused = true)]
async fn a_pair_saved_by_a_process_whose_clock_is_ahead_is_used_and_not_renewed() {
    use token::clock::{ManualClock, Timestamp};
    let at = |seconds| Arc::new(ManualClock::at(Timestamp::from_unix_seconds(seconds)));
    let refresher = ScriptedRefresher::new();
    let store = MemoryStore::new();
    let ahead = signed_in(&refresher, |b| b.store(store.clone()).clock(at(1_005))).await;
    let behind = Session::custom(refresher.clone()).store(store).clock(at(1_000));
    let behind = behind.connect().await.unwrap();
    let server = Server::refusing("access-0");
    for session in [&ahead, &behind, &behind, &ahead] {
        assert_eq!(call(session, &server).await.code(), Code::Ok);
    }
    assert_eq!(refresher.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_in_another_process_is_read_when_asked_for() {
    let refresher = ScriptedRefresher::new();
    let store = MemoryStore::new();
    let session = restored(&refresher, store.clone()).await;
    let mut events = session.events();
    signed_in(&refresher, |b| b.store(store)).await;
    session.reload().await.unwrap();
    assert_eq!(events.recv().await, Some(Event::SignedIn));
    assert_eq!(token_of(&session), "access-0");
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_only_while_the_store_holds_the_attempt_that_it_answers() {
    let rejected = || Renewal::Rejected { reason: "REFRESH_TOKEN_REUSED".to_owned() };
    for answer in [Renewal::Renewed(pair(1)), rejected(), Renewal::Superseded] {
        let refresher = ScriptedRefresher::new().then(Step::HoldThen(answer));
        let store = MemoryStore::new();
        let session = signed_in(&refresher, |b| b.store(store.clone())).await;
        let caller = tokio::spawn({
            let session = session.clone();
            async move { call(&session, &Server::refusing("access-0")).await }
        });
        refresher.reached(1).await;
        let other = MemoryStore::new();
        signed_in(&refresher, |b| b.store(other.clone())).await.set_tokens(pair(9)).await.unwrap();
        let newer = other.load().await.unwrap();
        store.overwrite(newer.clone());
        refresher.release();
        assert_eq!(caller.await.unwrap().code(), Code::Ok);
        assert_eq!((refresher.count(), token_of(&session).as_str()), (1, "access-9"));
        assert_eq!(stored(&store).await.encode(), newer.unwrap().encode());
    }
}

// Fault 17: at the worst moment.
#[tokio::test(start_paused = true)]
async fn a_logout_while_the_new_pair_is_being_saved_leaves_nothing() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let store = Frail::default();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let mut events = session.events();
    let refresh = refreshing(&session);
    refresher.reached(1).await;
    store.slow.store(100, SeqCst);
    refresher.release();
    tokio::time::sleep(Duration::from_millis(50)).await;
    session.logout().await.unwrap();
    assert!(matches!(refresh.await.unwrap(), Err(E::SignedOut { .. })));
    assert!(session.access_token().is_none());
    assert!(store.load().await.unwrap().is_none());
    assert!(matches!(events.recv().await, Some(Event::SignedOut { .. })));
    assert_eq!(events.try_recv(), None);
}
