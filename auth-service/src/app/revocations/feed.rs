//! What was revoked, for all who follow it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use token::{
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use transport::{metrics::Metrics, overload::Shares};

use super::{
    cursor::Cursor,
    following::{Follower, Following},
    known::{Comparison, Known},
    progress::{LONGEST_WRITE, Reading},
    reader::Reader,
};
use crate::{
    app::{callers::AuthenticatedService, error::AppError},
    domain::{id::ServiceId, revocation::Revocation},
    storage::{revocations::RevocationStore, store::ServiceStore},
};

/// What this process knows of revocations, and tells whoever follows.
///
/// It knows them in the order in which it learnt of them, which is its own: the database has no such
/// order, since a write takes its instant first and may commit last. So what lies in the past is read
/// again, as far back as the longest write takes, and what is known already is dropped. Nothing is
/// read while nobody follows.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(super) state: watch::Sender<State>,
    /// Somebody has begun to follow.
    pub(super) wanted: Notify,
    /// How long after a revocation a token can run out that it concerns.
    pub(super) life: Duration,
    /// Who follows.
    followers: Shares<ServiceId>,
}

/// What followers look at.
#[derive(Debug)]
pub(super) struct State {
    pub(super) known: Known,
    /// When the newest reading that has succeeded began.
    pub(super) read_at: Instant,
    /// The same of the newest that looked for late writes too; none before the first reading.
    pub(super) complete_at: Option<Instant>,
    /// Nothing more will come.
    pub(super) closed: bool,
}

impl Feed {
    /// Of a service whose access tokens live for `access_life`.
    pub(crate) fn new(access_life: Duration) -> Self {
        let life = access_life + LONGEST_WRITE;
        let state = State {
            known: Known::new(0, life),
            read_at: Instant::now(),
            complete_at: None,
            closed: false,
        };
        let (state, wanted) = (watch::Sender::new(state), Notify::new());
        Self { state, wanted, life, followers: Shares::default() }
    }

    /// Follows from `cursor` on, or from a snapshot if the cursor is none of this feed's, for as long
    /// as `caller` may by `clock` and `services`. Nothing is told before the database has been read
    /// anew: what was acknowledged before this was called is among the first that is told.
    ///
    /// Fails if the caller follows too often already.
    pub(crate) fn follow(
        &self,
        cursor: &str,
        caller: AuthenticatedService,
        services: Arc<dyn ServiceStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Following, AppError> {
        let share = self.followers.take(caller.account.id, MOST_OF_ONE);
        let share = share.ok_or(AppError::TooManyStreams { most: MOST_OF_ONE })?;
        let cursor = Cursor::decode(cursor);
        let caller = Follower { caller, services, clock, _share: share };
        let following = Following::new(self.state.subscribe(), cursor, caller);
        self.wanted.notify_one();
        Ok(following)
    }

    /// Ends every stream, so that a server that stops does not wait for them.
    pub(crate) fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// Tells who follows, and how old what they know can be, whenever it is asked for.
    pub(crate) fn measure(&self, metrics: &Metrics) {
        let followers = self.state.clone();
        let help = "Streams of revocations that are open";
        metrics
            .reading("revocation_followers", help, &[], move || followers.receiver_count() as f64);
        let state = self.state.clone();
        let help = "How long ago what was revoked was read; 0 while nobody follows";
        metrics.reading("revocation_lag_seconds", help, &[], move || {
            match state.receiver_count() {
                0 => 0.0,
                _ => state.borrow().read_at.elapsed().as_secs_f64(),
            }
        });
    }

    /// Reads for as long as it is polled.
    pub(crate) async fn keep_reading(&self, store: &dyn RevocationStore, entropy: &dyn Entropy) {
        self.wanted.notified().await;
        let reader = Reader {
            feed: self,
            store,
            entropy,
            progress: Mutex::default(),
            whole_is_due: Notify::new(),
            whole_is_done: Notify::new(),
        };
        tokio::join!(reader.keep_up(), reader.keep_looking_over());
    }

    /// Tells what is new of `read`, whose reading began at `began`.
    pub(super) fn tell(&self, reading: Reading, began: Instant, read: &[Revocation]) {
        // Followers wait while the state is changed, so it is only changed then.
        let news = self.state.borrow().known.news(read);
        self.state.send_modify(|state| {
            state.known.learn(news);
            state.note(began, matches!(reading, Reading::Deep(_)));
        });
    }

    /// Tells what is new of `all` that the database had at `now`. Up to the place `until` everything
    /// was known before the reading, which began at `began`.
    pub(super) fn tell_all(
        &self,
        all: Vec<Revocation>,
        now: Timestamp,
        until: u64,
        began: Instant,
        entropy: &dyn Entropy,
    ) {
        let comparison = {
            let state = self.state.borrow();
            state.complete_at.map(|_| state.known.compare(&all, now, until))
        };
        let all = match comparison {
            Some(Comparison::Differs { over, news }) => {
                return self.state.send_modify(|state| {
                    state.known.forget(&over);
                    state.known.learn(news);
                    state.note(began, true);
                });
            }
            Some(Comparison::AnotherDatabase { later }) => {
                tracing::warn!("the database has forgotten what was revoked: it is another copy");
                all.into_iter().chain(later).collect()
            }
            None => all,
        };
        let mut known = Known::new(u64::from_be_bytes(entropy.array()), self.life);
        known.learn(all);
        self.state.send_modify(|state| {
            std::mem::swap(&mut state.known, &mut known);
            state.note(began, true);
        });
    }
}

impl State {
    /// Notes a reading that began at `began`; a newer one may have ended before it.
    fn note(&mut self, began: Instant, is_complete: bool) {
        self.read_at = self.read_at.max(began);
        if is_complete {
            self.complete_at = self.complete_at.max(Some(began));
        }
    }
}

/// How often one account may follow: as many processes may share it as a large installation has, and
/// nobody who has an account can take all there is room for.
pub(super) const MOST_OF_ONE: usize = 100;
