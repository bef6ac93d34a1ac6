//! One stream's view of the feed.

use std::{fmt, sync::Arc, time::Duration};

use token::clock::{Clock, Timestamp};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{cursor::Cursor, feed::State, known::Told};
use crate::app::error::AppError;

/// What is told at a time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Whether it is the first of a snapshot, which replaces all that was told before.
    pub(crate) snapshot: bool,
    pub(crate) revocations: Vec<Told>,
    /// Where to go on; empty in all but the last batch of a snapshot.
    pub(crate) cursor: String,
}

/// Follows the feed for one receiver.
///
/// It holds a place in what the feed knows, and no batches: a receiver that is slow is behind, and
/// costs neither memory nor anybody else's time.
pub(crate) struct Following {
    state: watch::Receiver<State>,
    place: Place,
    until: Timestamp,
    clock: Arc<dyn Clock>,
}

impl Following {
    pub(super) fn new(
        mut state: watch::Receiver<State>,
        cursor: Option<Cursor>,
        until: Timestamp,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let stale = state.borrow_and_update().readings;
        Self {
            state,
            place: Place { at: cursor, snapshot_until: None, stale, sent: None },
            until,
            clock,
        }
    }

    /// What is to be told next, as soon as there is something. None once the feed is closed.
    ///
    /// Fails when its time is up. To stop waiting for it loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Result<Batch, AppError>> {
        loop {
            let left = self.until.saturating_since(self.clock.now());
            if left.is_zero() {
                return Some(Err(AppError::AccessTokenExpired));
            }
            {
                let state = self.state.borrow_and_update();
                if state.closed {
                    return None;
                }
                if let Some(batch) = self.place.advance(&state, Instant::now()) {
                    return Some(Ok(batch));
                }
            }
            // A time that is up is noticed above.
            if let Ok(Err(_)) = timeout(left, self.state.changed()).await {
                return None;
            }
        }
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").field("place", &self.place).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Place {
    /// What was told last.
    at: Option<Cursor>,
    /// Where the snapshot ends that is being told.
    snapshot_until: Option<u64>,
    /// How many readings there had been before.
    stale: u64,
    /// When something was told last.
    sent: Option<Instant>,
}

impl Place {
    fn advance(&mut self, state: &State, now: Instant) -> Option<Batch> {
        if state.readings <= self.stale {
            return None;
        }
        let known = &state.known;
        let ours = |at: &Cursor| at.incarnation == known.incarnation && at.sequence <= known.last;
        let resumed = self.at.filter(ours);
        if resumed.is_none() {
            self.snapshot_until = Some(known.last);
        }
        let mut at = resumed.unwrap_or(Cursor { incarnation: known.incarnation, sequence: 0 });
        let is_snapshot = self.snapshot_until.is_some();
        let until = self.snapshot_until.unwrap_or(known.last);
        let entries: Vec<_> = known.after(at.sequence, until, MOST_ENTRIES).collect();
        at.sequence = match entries.last() {
            Some((place, _)) if entries.len() == MOST_ENTRIES => *place,
            _ => until,
        };
        self.at = Some(at);
        if at.sequence == until {
            self.snapshot_until = None;
        }
        let fresh = now.duration_since(state.read_at) < FRESH;
        let silent = self.sent.is_none_or(|sent| now.duration_since(sent) >= HEARTBEAT);
        if entries.is_empty() && !is_snapshot && !(fresh && silent) {
            return None;
        }
        self.sent = Some(now);
        Some(Batch {
            snapshot: resumed.is_none(),
            revocations: entries.into_iter().map(|(_, told)| told).collect(),
            cursor: if self.snapshot_until.is_none() { at.encode() } else { String::new() },
        })
    }
}

/// What fits into one message of the default size many times over.
pub(super) const MOST_ENTRIES: usize = 1_000;
/// After how long without a revocation a follower is told that there is none. Streams promise a sign
/// of life every two seconds.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How old the news may be that there is none.
const FRESH: Duration = Duration::from_secs(2);
