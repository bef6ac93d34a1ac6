//! Neither token shows anywhere, and nobody who listens holds a refresh up.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::{
    io,
    sync::{Arc, Mutex},
};

use client_sdk::{
    AuthenticationError, Event, Renewal, SessionState,
    store::{FileStore, MemoryStore, Store},
    testing::{ScriptedRefresher, Step, unreachable_for},
};
use common::{Server, call, signed_in};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// Fault 42.
#[tokio::test(start_paused = true)]
async fn debug_display_and_trace_logs_show_neither_token() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path().join("tokens.json")).unwrap();
    let refresher = ScriptedRefresher::new()
        .then(Step::Answer(unreachable_for(None)))
        .then(Step::Answer(Renewal::Superseded));
    let session = signed_in(&refresher, |b| b.store(store.clone())).await;
    assert!(call(&session, &Server::refusing("access-0")).await.code() == tonic::Code::Ok);

    let mut shown = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(shown.contains("the refresh did not get through"), "the log is on: {shown}");
    let memory = MemoryStore::new();
    memory.overwrite(store.load().await.unwrap());
    let mut guard = memory.lock().await.unwrap();
    shown += &format!(
        "{session:?} {:?} {store:?} {memory:?} {guard:?} {:?} {:?} {:?} {:?} {:?}",
        session.layer(),
        guard.load().await,
        refresher.requests(),
        *session.state().borrow(),
        session.access_token(),
        session.events(),
    );
    for token in ["access-0", "access-1", "refresh-0", "refresh-1"] {
        assert!(!shown.contains(token), "{token} in {shown}");
    }
    for request in refresher.requests() {
        assert!(!shown.contains(request.idempotency_key()), "a key in {shown}");
    }
}

// Fault 43.
#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_does_not_hold_up_the_refresh_and_learns_the_final_state() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let mut slow = session.events();
    let state = session.state();
    for _ in 0..500 {
        session.refresh().await.unwrap();
    }
    let reason = "REFRESH_TOKEN_REUSED".to_owned();
    refresher.push(Step::Answer(Renewal::Rejected { reason }));
    assert!(matches!(session.refresh().await, Err(AuthenticationError::Rejected { .. })));
    let last = std::iter::from_fn(|| slow.try_recv()).last();
    assert!(matches!(last, Some(Event::SignedOut { .. })));
    assert!(matches!(*state.borrow(), SessionState::SignedOut { .. }));
}
