//! What another process does to the store is noticed without a call.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use client_sdk::{
    Event, Events, Session, SessionState, SignOutReason,
    store::{Changed, FileStore, MemoryStore, Record, Store, StoreFuture, StoreGuard, StoreWatch},
    testing::{ScriptedRefresher, Step, pair},
};
use common::{Server, call, refreshing, settle, signed_in, token_of};
use token::clock::{ManualClock, Timestamp};
use tokio::{sync::oneshot, time::timeout};
use tonic::Code;

const ELSEWHERE: Event = Event::SignedOut { reason: SignOutReason::Elsewhere };

/// A session of another process on the same store.
async fn another(store: impl Store) -> Session {
    Session::custom(ScriptedRefresher::new()).store(store).connect().await.unwrap()
}

async fn next(events: &mut Events) -> Event {
    timeout(Duration::from_secs(30), events.recv()).await.expect("nothing is noticed").unwrap()
}

/// Nothing happens, however often the store is looked at.
async fn quiet(events: &mut Events) {
    let event = timeout(Duration::from_secs(10), events.recv()).await;
    assert!(event.is_err(), "{event:?}");
}

/// A renewal, a logout and a login by another process, one after the other.
async fn everything_is_noticed(open: impl Fn() -> Box<dyn Open>) {
    let refresher = ScriptedRefresher::new();
    let session = open().sign_in(&refresher).await;
    let other = open().connect().await;
    let mut events = session.events();

    other.refresh().await.unwrap();
    assert_eq!(next(&mut events).await, Event::Refreshed);
    assert_eq!(token_of(&session), token_of(&other));
    let server = Server::refusing("access-0");
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!((server.tokens(), refresher.count()), (vec!["access-1".to_owned()], 0));

    other.logout().await.unwrap();
    assert_eq!(next(&mut events).await, ELSEWHERE);
    assert!(session.access_token().is_none());
    let reason = SignOutReason::Elsewhere;
    assert_eq!(*session.state().borrow(), SessionState::SignedOut { reason });

    other.set_tokens(pair(7)).await.unwrap();
    assert_eq!(next(&mut events).await, Event::SignedIn);
    assert_eq!(token_of(&session), "access-7");
    quiet(&mut events).await;
    assert_eq!(refresher.count(), 0);
}

/// A store that can be opened again.
trait Open {
    fn connect(&self) -> std::pin::Pin<Box<dyn Future<Output = Session>>>;

    fn sign_in<'a>(
        &'a self,
        refresher: &'a ScriptedRefresher,
    ) -> std::pin::Pin<Box<dyn Future<Output = Session> + 'a>>;
}

impl<S: Store + Clone> Open for S {
    fn connect(&self) -> std::pin::Pin<Box<dyn Future<Output = Session>>> {
        Box::pin(another(self.clone()))
    }

    fn sign_in<'a>(
        &'a self,
        refresher: &'a ScriptedRefresher,
    ) -> std::pin::Pin<Box<dyn Future<Output = Session> + 'a>> {
        Box::pin(signed_in(refresher, |b| b.store(self.clone())))
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_do_to_a_shared_memory_is_noticed() {
    let store = MemoryStore::new();
    everything_is_noticed(|| Box::new(store.clone())).await;
}

#[tokio::test(start_paused = true)]
async fn what_others_do_to_a_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    everything_is_noticed(|| Box::new(FileStore::open(&path).unwrap())).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_session_saves_itself_causes_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path().join("tokens.json")).unwrap();
    let session = signed_in(&ScriptedRefresher::new(), |b| b.store(store)).await;
    let mut events = session.events();
    quiet(&mut events).await;
    session.refresh().await.unwrap();
    assert_eq!(next(&mut events).await, Event::Refreshed);
    quiet(&mut events).await;
    session.logout().await.unwrap();
    let reason = SignOutReason::LoggedOut;
    assert_eq!(next(&mut events).await, Event::SignedOut { reason });
    quiet(&mut events).await;
    session.set_tokens(pair(5)).await.unwrap();
    assert_eq!(next(&mut events).await, Event::SignedIn);
    quiet(&mut events).await;
}

// Fault 17: a store that still holds it is no login.
#[tokio::test(start_paused = true)]
async fn what_was_signed_out_from_here_does_not_come_back_out_of_the_store() {
    let store = MemoryStore::new();
    let session = signed_in(&ScriptedRefresher::new(), |b| b.store(store.clone())).await;
    let left = store.load().await.unwrap();
    let mut events = session.events();
    // A change wakes the watcher, which then comes first: memory is signed out, the store not yet.
    store.overwrite(left);
    session.logout().await.unwrap();
    let reason = SignOutReason::LoggedOut;
    assert_eq!(next(&mut events).await, Event::SignedOut { reason });
    quiet(&mut events).await;
    assert!(session.access_token().is_none());
    assert!(store.load().await.unwrap().is_none());

    // The next one is.
    another(store).await.set_tokens(pair(1)).await.unwrap();
    assert_eq!(next(&mut events).await, Event::SignedIn);
}

#[tokio::test(start_paused = true)]
async fn somebody_else_s_session_is_a_logout_and_a_login() {
    let store = MemoryStore::new();
    let session = signed_in(&ScriptedRefresher::new(), |b| b.store(store.clone())).await;
    let mut events = session.events();
    another(store).await.set_tokens(pair(9).session_id("s2")).await.unwrap();
    assert_eq!(next(&mut events).await, ELSEWHERE);
    assert_eq!(next(&mut events).await, Event::SignedIn);
    assert_eq!(token_of(&session), "access-9");
    quiet(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_taken_over_once_the_lock_is_free_however_long_that_takes() {
    let (store, other) = (MemoryStore::new(), MemoryStore::new());
    let session =
        signed_in(&ScriptedRefresher::new(), |b| b.store(store.clone()).budget(BRIEF)).await;
    another(other.clone()).await.set_tokens(pair(3)).await.unwrap();
    let mut events = session.events();
    let held = store.lock().await.unwrap();
    store.overwrite(other.load().await.unwrap());
    quiet(&mut events).await;
    drop(held);
    assert_eq!(next(&mut events).await, Event::Refreshed);
    assert_eq!(token_of(&session), "access-3");
}

// A refresh that is under way has the lock, and is not waited for by the one that follows.
#[tokio::test(start_paused = true)]
async fn watching_holds_up_no_refresh() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let store = MemoryStore::new();
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    let mut events = session.events();
    let refresh = refreshing(&session);
    refresher.reached(1).await;
    settle().await;
    refresher.release();
    refresh.await.unwrap().unwrap();
    assert_eq!(next(&mut events).await, Event::Refreshed);
    quiet(&mut events).await;
    assert_eq!((refresher.count(), token_of(&session).as_str()), (1, "access-1"));
}

/// A memory store whose watch tells when it is dropped, and that can be changed between the making
/// of the watch and the first read.
#[derive(Clone, Debug, Default)]
struct Told {
    inner: MemoryStore,
    dropped: Arc<Mutex<Option<oneshot::Sender<()>>>>,
    at_load: Arc<Mutex<Option<Record>>>,
}

#[derive(Debug)]
struct ToldWatch(Box<dyn StoreWatch>, Option<oneshot::Sender<()>>);

impl Store for Told {
    fn lock(&self) -> StoreFuture<'_, Box<dyn StoreGuard>> {
        self.inner.lock()
    }

    fn load(&self) -> StoreFuture<'_, Option<Record>> {
        Box::pin(async {
            let read = self.inner.load().await;
            let next = self.at_load.lock().unwrap().take();
            if next.is_some() {
                self.inner.overwrite(next);
            }
            read
        })
    }

    fn watch(&self) -> Box<dyn StoreWatch> {
        Box::new(ToldWatch(self.inner.watch(), self.dropped.lock().unwrap().take()))
    }
}

impl StoreWatch for ToldWatch {
    fn changed(&mut self) -> Changed<'_> {
        self.0.changed()
    }
}

impl Drop for ToldWatch {
    fn drop(&mut self) {
        if let Some(dropped) = self.1.take() {
            let _ = dropped.send(());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn watching_ends_with_the_last_clone_of_the_session() {
    let (sender, mut dropped) = oneshot::channel();
    let store = Told { dropped: Arc::new(Mutex::new(Some(sender))), ..Told::default() };
    let session = another(store).await;
    let clone = session.clone();
    drop(session);
    settle().await;
    assert!(dropped.try_recv().is_err(), "it ended too early");
    drop(clone);
    timeout(Duration::from_secs(30), dropped).await.expect("it goes on").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_right_after_the_first_read_is_noticed() {
    let other = MemoryStore::new();
    another(other.clone()).await.set_tokens(pair(2)).await.unwrap();
    let store = Told::default();
    *store.at_load.lock().unwrap() = other.load().await.unwrap();
    let session = another(store).await;
    assert!(session.access_token().is_none());
    assert_eq!(next(&mut session.events()).await, Event::SignedIn);
}

// Fault 21: or else it would be renewed again by everybody whose clock is behind.
#[tokio::test(start_paused = true)]
async fn a_renewal_by_a_process_whose_clock_is_a_little_ahead_is_good() {
    let now = Timestamp::from_unix_seconds(1_000);
    let (clock, store, refresher) =
        (Arc::new(ManualClock::at(now)), MemoryStore::new(), ScriptedRefresher::new());
    let session = signed_in(&refresher, |b| b.store(store.clone()).clock(clock.clone())).await;
    let ahead = Arc::new(ManualClock::at(now));
    ahead.advance(Duration::from_secs(2));
    let other = Session::custom(ScriptedRefresher::new()).store(store).clock(ahead);
    let other = other.connect().await.unwrap();
    let mut events = session.events();
    other.refresh().await.unwrap();
    assert_eq!(next(&mut events).await, Event::Refreshed);
    let server = Server::refusing("access-0");
    assert_eq!(call(&session, &server).await.code(), Code::Ok);
    assert_eq!((server.tokens(), refresher.count()), (vec!["access-1".to_owned()], 0));
}

// Fault 7: neither does a session stop watching with the runtime that it was made on.
#[test]
fn a_session_whose_runtime_is_gone_is_watched_from_the_next() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let store = MemoryStore::new();
    let session = runtime().block_on(another(store.clone()));
    // Here nobody watches.
    runtime().block_on(async {
        another(store.clone()).await.set_tokens(pair(1)).await.unwrap();
    });
    assert!(session.access_token().is_none());
    runtime().block_on(async {
        let mut events = session.events();
        assert_eq!(next(&mut events).await, Event::SignedIn);
        another(store.clone()).await.set_tokens(pair(2)).await.unwrap();
        assert_eq!(next(&mut events).await, Event::Refreshed);
    });
    assert_eq!(token_of(&session), "access-2");
}

const BRIEF: Duration = Duration::from_millis(100);
