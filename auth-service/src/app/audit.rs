//! Where requests come from, and storing audit events that tell of no change.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use token::{KeyDigest, clock::Timestamp, entropy::Entropy};
use tokio::sync::{mpsc, oneshot};
use transport::metrics::Counter;
use uuid::Uuid;

use crate::{
    app::meters::LostEvents,
    domain::{
        audit::{Actor, AuditEvent, EventKind},
        id::{AccountId, new_v7},
    },
    storage::store::Store,
};

/// Where a request came from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) address: Option<IpAddr>,
    /// The key that its client proved by a certificate.
    pub(crate) key: Option<KeyDigest>,
}

/// Who administers, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Administrator {
    pub(crate) actor: Actor,
    pub(crate) origin: Origin,
}

impl Administrator {
    /// At the command line, where the database is.
    pub(crate) const OPERATOR: Self =
        Self { actor: Actor::Operator, origin: Origin { address: None, key: None } };

    pub(super) fn is(&self, account: impl Into<AccountId>) -> bool {
        self.actor == Actor::Account(account.into())
    }
}

/// Tells whoever watches the log of what an operator may have to act on.
pub(super) fn warn(event: &AuditEvent) {
    let what = match event.kind {
        EventKind::RefreshAdopted => "a session newer than the database was adopted",
        EventKind::RefreshReused => "a spent refresh token came back; its session was revoked",
        EventKind::SigningKeyCompromised => "the signing key was known to others; it was withdrawn",
        _ => return,
    };
    let id = |id: Option<Uuid>| id.map(tracing::field::display);
    tracing::warn!(
        target: "evergreen::audit",
        event = event.kind.as_str(),
        session = id(event.session.map(|session| session.0)),
        user = id(event.account.map(AccountId::uuid)),
        actor = event.actor.map(tracing::field::display),
        detail = Some(&*event.detail).filter(|detail| !detail.is_empty()),
        "{what}"
    );
}

/// Stores events of what changed nothing (a wrong password, a superseded attempt) behind the back
/// of the request. Events of changes are stored by those changes.
///
/// Whoever floods a service with bad requests must not make it remember them all in memory, so a
/// full queue drops events, and says how many.
#[derive(Debug)]
pub(crate) struct AuditLog {
    queue: mpsc::Sender<Entry>,
    dropped: Arc<AtomicU64>,
    last_id: Mutex<Uuid>,
    queue_full: Counter,
}

#[derive(Debug)]
enum Entry {
    Event(AuditEvent),
    /// All that came before has been stored, or could not be.
    Flush(oneshot::Sender<()>),
}

impl AuditLog {
    pub(crate) fn start(store: Arc<dyn Store>, lost: LostEvents) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        tokio::spawn(write(store, entries, Arc::clone(&dropped), lost.not_stored));
        Self { queue, dropped, last_id: Mutex::default(), queue_full: lost.queue_full }
    }

    /// An id above that of every event which this process made before, so that events of one
    /// millisecond are told in the order in which they happened (RFC 9562 section 6.2, method 2).
    pub(super) fn next_id(&self, now: Timestamp, entropy: &dyn Entropy) -> Uuid {
        // No panic leaves it halfway: an id is one word.
        let mut last = self.last_id.lock().unwrap_or_else(PoisonError::into_inner);
        *last = new_v7(now, entropy).max(Uuid::from_u128(last.as_u128() + 1));
        *last
    }

    pub(super) fn record(&self, event: AuditEvent) {
        if self.queue.try_send(Entry::Event(event)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.queue_full.inc();
        }
    }

    /// Resolves when all that was recorded before is stored.
    pub(crate) async fn flush(&self) {
        let (done, stored) = oneshot::channel();
        if self.queue.send(Entry::Flush(done)).await.is_ok() {
            // A writer that is gone has nothing left to store.
            let _ = stored.await;
        }
    }
}

async fn write(
    store: Arc<dyn Store>,
    mut entries: mpsc::Receiver<Entry>,
    dropped: Arc<AtomicU64>,
    not_stored: Counter,
) {
    let mut batch = Vec::new();
    while entries.recv_many(&mut batch, BATCH).await > 0 {
        let (mut events, mut flushed) = (Vec::new(), Vec::new());
        for entry in batch.drain(..) {
            match entry {
                Entry::Event(event) => events.push(event),
                Entry::Flush(done) => flushed.push(done),
            }
        }
        if !events.is_empty()
            && let Err(error) = store.record(&events).await
        {
            not_stored.inc_by(events.len() as u64);
            tracing::error!(%error, lost = events.len(), "audit events could not be stored");
        }
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::error!(dropped, "audit events came faster than they could be stored");
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}

const QUEUE: usize = 1024;
const BATCH: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use token::{clock::ManualClock, entropy::SeededEntropy};
    use transport::metrics::Metrics;

    use super::*;
    use crate::{
        app::meters::Meters,
        storage::memory::{MemoryDatabase, MemoryStore},
    };

    #[tokio::test]
    async fn ids_of_one_instant_ascend_whatever_chance_says() {
        let start = Timestamp::from_unix_seconds(1_800_000_000);
        let clock = Arc::new(ManualClock::at(start));
        let lost = Meters::new(&Metrics::new("test", "0", start)).lost_events();
        let store = MemoryStore::open(&MemoryDatabase::new(), clock);
        let log = AuditLog::start(Arc::new(store), lost);
        let entropy = SeededEntropy::new(1);
        let at = |n| start + Duration::from_millis(n / 500);
        let ids: Vec<_> = (0..1000_u64).map(|n| log.next_id(at(n), &entropy)).collect();
        assert!(ids.is_sorted_by(|id, next| id < next));
        let (secs, nanos) = ids[999].get_timestamp().unwrap().to_unix();
        assert_eq!((secs, nanos), (1_800_000_000, 1_000_000), "it says when");
    }
}
