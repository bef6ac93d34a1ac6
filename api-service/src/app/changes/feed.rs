//! Reading the log, for all who follow it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, broadcast, watch},
    time::{Instant, sleep},
};
use transport::{
    metrics::Metrics,
    overload::{Share, Shares},
};

use crate::{
    domain::change::{Change, Resource},
    storage::{ChangeKey, Store, StoreError},
};

/// Tells whoever follows in this process. Nothing is read while nobody does.
#[derive(Debug)]
pub(in crate::app) struct Feed {
    said: broadcast::Sender<Said>,
    /// Somebody has begun to follow.
    wanted: Notify,
    closed: watch::Sender<bool>,
    /// Who follows, by their ids.
    followers: Shares<String>,
}

/// What is said to all who follow.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// Every change after this place is said from now on, and none before it was for certain.
    From(i64),
    Change(Arc<Entry>),
}

/// A change, and what it is about as it was when the change was read, or later.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: ChangeKey,
    pub(super) change: Change,
    /// `None` if it is deleted.
    pub(super) now: Option<Resource>,
    /// When that was so.
    pub(super) as_of: Instant,
}

/// What one who follows listens to.
#[derive(Debug)]
pub(super) struct Ears {
    pub(super) said: broadcast::Receiver<Said>,
    pub(super) closed: watch::Receiver<bool>,
    /// Theirs for as long as they listen.
    _share: Share<String>,
}

impl Feed {
    pub(in crate::app) fn new() -> Self {
        Self {
            said: broadcast::Sender::new(MOST_UNHEARD),
            wanted: Notify::new(),
            closed: watch::Sender::new(false),
            followers: Shares::default(),
        }
    }

    /// Tells how many follow, whenever it is asked for.
    pub(in crate::app) fn measure(&self, metrics: &Metrics) {
        let said = self.said.clone();
        let help = "Streams of changes that are open";
        metrics.reading("change_followers", help, &[], move || said.receiver_count() as f64);
    }

    /// Ears for `reader`, unless they have as many as one may have.
    pub(super) fn listen(&self, reader: &str) -> Option<Ears> {
        let share = self.followers.take(reader.to_owned(), MOST_OF_ONE)?;
        let (said, closed) = (self.said.subscribe(), self.closed.subscribe());
        self.wanted.notify_one();
        Some(Ears { said, closed, _share: share })
    }

    pub(super) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Reads for as long as it is polled.
    pub(super) async fn keep_reading(&self, store: &dyn Store) {
        let mut bell = store.bell();
        let mut place = None;
        let mut failing = false;
        loop {
            if self.said.receiver_count() == 0 {
                self.wanted.notified().await;
                place = None;
            }
            bell.mark_unchanged();
            match self.read(store, &mut place).await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "changes cannot be read; followers hear nothing");
                    }
                    sleep(LONGEST_SILENCE).await;
                }
            }
            tokio::select! {
                // A bell that is gone leaves the timer. What is written by others is not rung for.
                Ok(()) = bell.changed() => {}
                () = sleep(LONGEST_SILENCE) => {}
            }
        }
    }

    /// Says whatever is new after `place`.
    async fn read(
        &self,
        store: &dyn Store,
        place: &mut Option<ChangeKey>,
    ) -> Result<(), StoreError> {
        loop {
            let after = match place {
                Some(after) => after,
                None => {
                    let last = place.insert(store.last_change().await?);
                    // To nobody, if everybody has left.
                    let _ = self.said.send(Said::From(last.seq));
                    last
                }
            };
            let Some(read) = store.changes(None, after, AT_ONCE).await? else {
                // Another log than before: everybody looks for their own place in it.
                *place = None;
                let _ = self.said.send(Said::From(i64::MAX));
                continue;
            };
            let more = i64::try_from(read.changes.len()).is_ok_and(|count| count >= AT_ONCE);
            for (key, change) in read.changes {
                let as_of = Instant::now();
                let now = store.resource(change.what).await?;
                *place = Some(key.clone());
                let entry = Entry { key, change, now, as_of };
                let _ = self.said.send(Said::Change(Arc::new(entry)));
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// How often one user may follow: a person has a few programs open, and nobody who has an account can
/// take all there is room for.
pub(super) const MOST_OF_ONE: usize = 100;
/// How many changes wait for the slowest who follows; one who is slower reads the log instead.
const MOST_UNHEARD: usize = 256;
const AT_ONCE: i64 = 100;
const LONGEST_SILENCE: Duration = Duration::from_secs(1);
