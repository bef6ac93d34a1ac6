//! Reading what was revoked.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use token::{clock::Timestamp, entropy::Entropy};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    feed::Feed,
    progress::{LONGEST_SILENCE, Progress, WHOLE_EVERY},
};
use crate::{
    domain::revocation::Revocation,
    storage::{error::StoreError, revocations::RevocationStore},
};

/// Reads for a feed.
///
/// What is new is read again and again, in little time. All there is may take long, so it is read
/// beside that, and neither waits for the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) feed: &'a Feed,
    pub(super) store: &'a dyn RevocationStore,
    pub(super) entropy: &'a dyn Entropy,
    pub(super) progress: Mutex<Progress>,
    pub(super) whole_is_due: Notify,
    pub(super) whole_is_done: Notify,
}

impl Reader<'_> {
    /// Reads what is new while somebody follows.
    pub(super) async fn keep_up(&self) {
        let mut rings = self.store.revoked();
        loop {
            rings.mark_unchanged();
            let began = Instant::now();
            if self.progress().whole_is_due(began) {
                self.whole_is_due.notify_one();
            }
            self.read_newest(began).await;
            // Under a flood of revocations half of the time is spent on reading them. A single one
            // is read at once.
            let not_before = Instant::now() + began.elapsed().min(LONGEST_PAUSE);
            if self.feed.state.receiver_count() == 0 {
                self.feed.wanted.notified().await;
                self.progress().look_deep();
            } else {
                tokio::select! {
                    biased;
                    () = self.feed.wanted.notified() => self.progress().look_deep(),
                    // A bell that is gone leaves the timer.
                    Ok(()) = rings.changed() => {}
                    () = self.whole_is_done.notified() => {}
                    () = sleep(LONGEST_SILENCE) => {}
                }
            }
            sleep_until(not_before).await;
        }
    }

    async fn read_newest(&self, began: Instant) {
        let Some(reading) = self.progress().due(began) else { return };
        if let Some((read, now)) = self.read(reading.since(), PATIENCE).await {
            self.feed.tell(reading, began, &read);
            self.progress().note(reading, began, now);
        }
    }

    /// Reads all there is when it is due. What has begun is read to its end, whether or not somebody
    /// still follows: a follower whose patience is shorter finds it done when they come again.
    ///
    /// A connection that is dead is given up as soon as one of what is new. So is, the first time, a
    /// reading that takes long; the next one may take longer.
    pub(super) async fn keep_looking_over(&self) {
        let mut patience = PATIENCE;
        loop {
            self.whole_is_due.notified().await;
            let began = Instant::now();
            if !self.progress().whole_is_due(began) {
                continue;
            }
            let known = self.feed.state.borrow().known.last;
            if let Some((all, now)) = self.read(Timestamp::UNIX_EPOCH, patience).await {
                patience = (began.elapsed() * 4).clamp(PATIENCE, LONGEST_PATIENCE);
                self.feed.tell_all(all, now, known, began, self.entropy);
                self.progress().note_whole(began, now);
                self.whole_is_done.notify_one();
            } else if began.elapsed() >= LONGEST_PATIENCE {
                // What fails so slowly is not to be all that the database is asked for.
                sleep(WHOLE_EVERY).await;
            } else if began.elapsed() >= patience {
                patience = (patience * 4).min(LONGEST_PATIENCE);
            }
        }
    }

    async fn read(
        &self,
        since: Timestamp,
        patience: Duration,
    ) -> Option<(Vec<Revocation>, Timestamp)> {
        let read = timeout(patience, self.store.revocations_since(since, self.feed.life)).await;
        match read.unwrap_or(Err(StoreError::TooLate)) {
            Ok(read) => Some(read),
            Err(error) => {
                if self.progress().fail(Instant::now()) {
                    tracing::warn!(%error, "what was revoked cannot be read");
                }
                None
            }
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing that holds it panics halfway.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long a reading of what is new may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a reading of all there is may take at the most.
const LONGEST_PATIENCE: Duration = Duration::from_secs(300);
