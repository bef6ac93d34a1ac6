//! Reading what was revoked, for all who follow it.

use std::{sync::Arc, time::Duration};

use token::{
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    cursor::Cursor,
    following::Following,
    known::Known,
    progress::{LONGEST_SILENCE, LONGEST_WRITE, Progress, Reading},
};
use crate::storage::{error::StoreError, revocations::RevocationStore};

/// What this process knows of revocations, and tells whoever follows.
///
/// It knows them in the order in which it learnt of them, which is its own: the database has no such
/// order, since a write takes its instant first and may commit last. So what lies in the past is read
/// again, as far back as the longest write takes, and what is known already is dropped. Nothing is
/// read while nobody follows.
#[derive(Debug)]
pub(crate) struct Feed {
    state: watch::Sender<State>,
    /// Somebody has begun to follow.
    wanted: Notify,
    life: Duration,
}

/// What followers look at.
#[derive(Debug)]
pub(super) struct State {
    pub(super) known: Known,
    /// How many readings have succeeded.
    pub(super) readings: u64,
    /// When the last of them began.
    pub(super) read_at: Instant,
    /// Nothing more will come.
    pub(super) closed: bool,
}

impl Feed {
    /// Of a service whose access tokens live for `access_life`.
    pub(crate) fn new(access_life: Duration) -> Self {
        let life = access_life + LONGEST_WRITE;
        let state = State {
            known: Known::new(0, life),
            readings: 0,
            read_at: Instant::now(),
            closed: false,
        };
        Self { state: watch::Sender::new(state), wanted: Notify::new(), life }
    }

    /// Follows from `cursor` on, or from a snapshot if the cursor is none of this feed's, until that
    /// instant of `clock`. Nothing is told before the database has been read anew.
    pub(crate) fn follow(
        &self,
        cursor: &str,
        until: Timestamp,
        clock: Arc<dyn Clock>,
    ) -> Following {
        let cursor = Cursor::decode(cursor);
        let following = Following::new(self.state.subscribe(), cursor, until, clock);
        self.wanted.notify_one();
        following
    }

    /// Ends every stream, so that a server that stops does not wait for them.
    pub(crate) fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// Reads for as long as it is polled.
    pub(crate) async fn keep_reading(&self, store: &dyn RevocationStore, entropy: &dyn Entropy) {
        self.wanted.notified().await;
        let mut rings = store.revoked();
        let mut progress = Progress::default();
        loop {
            rings.mark_unchanged();
            let began = Instant::now();
            self.read(store, entropy, &mut progress, began).await;
            // Under a flood of revocations half of the time is spent on reading them. A single one
            // is read at once.
            let not_before = Instant::now() + began.elapsed().min(LONGEST_PAUSE);
            if self.state.receiver_count() == 0 {
                self.wanted.notified().await;
                progress = Progress::default();
            } else {
                tokio::select! {
                    // A bell that is gone leaves the timer.
                    Ok(()) = rings.changed() => {}
                    () = self.wanted.notified() => {}
                    () = sleep(LONGEST_SILENCE) => {}
                }
            }
            sleep_until(not_before).await;
        }
    }

    async fn read(
        &self,
        store: &dyn RevocationStore,
        entropy: &dyn Entropy,
        progress: &mut Progress,
        began: Instant,
    ) {
        let reading = progress.due(began);
        let read = store.revocations_since(reading.since(), self.life);
        let read = match timeout(PATIENCE, read).await {
            Ok(read) => read,
            Err(_) => Err(StoreError::TooLate),
        };
        let (revocations, now) = match read {
            Ok(read) => read,
            Err(error) => {
                if progress.fail() {
                    tracing::warn!(%error, "what was revoked cannot be read; followers hear nothing");
                }
                return;
            }
        };
        self.state.send_modify(|state| {
            if state.readings == 0 {
                state.known = Known::new(incarnation(entropy), self.life);
            }
            if reading != Reading::Whole {
                state.known.learn(revocations);
            } else if !state.known.replace(&revocations, now) {
                tracing::warn!("the database has forgotten what was revoked: it is another copy");
                state.known = Known::new(incarnation(entropy), self.life);
                state.known.learn(revocations);
            }
            state.readings += 1;
            state.read_at = began;
        });
        progress.note(reading, began, now);
    }
}

fn incarnation(entropy: &dyn Entropy) -> u64 {
    u64::from_be_bytes(entropy.array())
}

const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(5);
