//! One stream's view of the feed.

use std::{fmt, sync::Arc, time::Duration};

use token::clock::Clock;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use transport::overload::Share;

use super::{
    cursor::Cursor,
    feed::State,
    known::{Known, Told},
};
use crate::{
    app::{
        callers::{AuthenticatedService, judge_service},
        error::AppError,
    },
    domain::id::ServiceId,
    storage::store::ServiceStore,
};

/// What is told at a time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Whether it is the first of a snapshot, which replaces all that was told before.
    pub(crate) snapshot: bool,
    pub(crate) revocations: Vec<Told>,
    /// Where to go on; empty in all but the last batch of a snapshot.
    pub(crate) cursor: String,
}

/// Who follows, and who can say until when they may.
pub(super) struct Follower {
    pub(super) caller: AuthenticatedService,
    pub(super) services: Arc<dyn ServiceStore>,
    pub(super) clock: Arc<dyn Clock>,
    /// Theirs for as long as they follow.
    pub(super) _share: Share<ServiceId>,
}

/// Follows the feed for one receiver.
///
/// It holds a place in what the feed knows, and no batches: a receiver that is slow is behind, and
/// costs neither memory nor anybody else's time.
pub(crate) struct Following {
    state: watch::Receiver<State>,
    place: Place,
    asked: Instant,
    follower: Follower,
    /// What the feed said of the follower's own account when they were last judged by it.
    judged: Option<Cursor>,
}

impl Following {
    pub(super) fn new(
        state: watch::Receiver<State>,
        cursor: Option<Cursor>,
        follower: Follower,
    ) -> Self {
        let place = Place { at: cursor, snapshot_until: None, sent: None };
        Self { state, place, asked: Instant::now(), follower, judged: None }
    }

    /// What is to be told next, as soon as there is something. None once the feed is closed.
    ///
    /// Fails when the follower's token runs out or is no longer good. To stop waiting for it loses
    /// nothing.
    pub(crate) async fn next(&mut self) -> Option<Result<Batch, AppError>> {
        loop {
            let left = self.follower.left();
            if left.is_zero() {
                return Some(Err(AppError::AccessTokenExpired));
            }
            let of_theirs = {
                let state = self.state.borrow_and_update();
                if state.closed {
                    return None;
                }
                let of_theirs = self.follower.entry(&state.known);
                if of_theirs == self.judged
                    && state.complete_at.is_some_and(|read_at| read_at >= self.asked)
                    && let Some(batch) = self.place.advance(&state, Instant::now())
                {
                    return Some(Ok(batch));
                }
                of_theirs
            };
            if of_theirs != self.judged {
                if let Err(error) = self.follower.judge().await {
                    return Some(Err(error));
                }
                self.judged = of_theirs;
                continue;
            }
            // A time that is up is noticed above.
            if let Ok(Err(_)) = timeout(left, self.state.changed()).await {
                return None;
            }
        }
    }
}

impl Follower {
    /// For how long their token is still good.
    fn left(&self) -> Duration {
        self.caller.expires_at.saturating_since(self.clock.now())
    }

    /// Where the newest entry is that is about them.
    fn entry(&self, known: &Known) -> Option<Cursor> {
        let sequence = known.place_of(self.caller.account.id.0)?;
        Some(Cursor { incarnation: known.incarnation, sequence })
    }

    /// Whether their token is still good by what the database says of their account.
    async fn judge(&self) -> Result<(), AppError> {
        let account = self.services.service(self.caller.account.id).await?;
        judge_service(account, self.caller.roles_version).map(|_| ())
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
    /// When something was told last.
    sent: Option<Instant>,
}

impl Place {
    fn advance(&mut self, state: &State, now: Instant) -> Option<Batch> {
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
