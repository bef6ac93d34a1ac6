//! Hears of revoked sessions, so that their tokens are refused before they run out.

mod follow;
mod open_streams;
mod revoked;
mod source;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use self::tests::scripted;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use token::{
    clock::{Clock, Timestamp},
    entropy::{Entropy, SystemEntropy},
};
use tokio::sync::Notify;
use tonic::Status;

pub use self::source::{
    AuthServiceRevocations, Entry, News, Revocation, RevocationSource, RevocationStream,
    WatchFuture,
};
use self::{
    open_streams::OpenStreams,
    revoked::{Revoked, Verdict},
};
use super::{caller::Caller, refusal::Refusal};

/// The revocations of one source, followed by a task of their own. Clones share them; the task ends
/// some seconds after the last of them.
///
/// - A revoked session's tokens are refused with `SESSION_REVOKED`; tokens whose roles have changed
///   with `ACCESS_TOKEN_EXPIRED`, so that the client gets a new one. A response that streams is ended
///   with the same.
/// - A revocation is known here as soon as the source's message has arrived. After a break the
///   stream is resumed where it was.
/// - Judging a call that nothing is known against costs one or two lookups.
/// - While the source is [silent](Self::silent_for) what is known goes on counting, and
///   [`WhileSilent`] says what becomes of the rest.
#[derive(Clone, Debug)]
pub struct Revocations(Arc<Shared>);

/// What becomes of calls while the source cannot be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhileSilent {
    /// They are judged by what is known, and an error is logged: a session that is revoked meanwhile
    /// lives until its token runs out.
    #[default]
    Admit,
    /// The same, for so long; then, and before the source was heard at all, every call that needs a
    /// token is answered `UNAVAILABLE` with `REVOCATIONS_UNAVAILABLE`.
    RefuseAfter(Duration),
}

/// Settings of [`Revocations`].
#[derive(Debug)]
pub struct RevocationsBuilder {
    source: Box<dyn RevocationSource>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    while_silent: WhileSilent,
}

impl RevocationsBuilder {
    /// A stream that has said nothing for so long is given up. AuthService says something every two
    /// seconds.
    pub const SILENCE: Duration = Duration::from_secs(6);

    /// What becomes of calls while the source cannot be heard; they are admitted unless set.
    #[must_use]
    pub const fn while_silent(mut self, policy: WhileSilent) -> Self {
        self.while_silent = policy;
        self
    }

    /// Where the jitter of reconnecting comes from; the operating system unless set.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Starts to follow.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn follow(self) -> Revocations {
        let shared = Arc::new(Shared {
            revoked: Revoked::default(),
            streams: OpenStreams::default(),
            heard: AtomicI64::new(self.clock.now().unix_millis()),
            is_primed: AtomicBool::new(false),
            blind_until: AtomicI64::new(i64::MIN),
            rounds: AtomicUsize::new(0),
            alarmed: AtomicBool::new(false),
            clock: self.clock,
            while_silent: self.while_silent,
        });
        tokio::spawn(follow::follow(Arc::downgrade(&shared), self.source, self.entropy));
        Revocations(shared)
    }
}

impl Revocations {
    /// What `source` tells.
    #[must_use]
    pub fn of(source: impl RevocationSource, clock: Arc<dyn Clock>) -> RevocationsBuilder {
        RevocationsBuilder {
            source: Box::new(source),
            clock,
            entropy: Arc::new(SystemEntropy),
            while_silent: WhileSilent::default(),
        }
    }

    /// For how long nothing was heard of the source: seconds at the most while all is well.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.0.silent_for()
    }

    /// How many revocations are known whose tokens have not all run out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.revoked.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a caller whose token is good may still act.
    pub(super) fn judge(&self, caller: &Caller) -> Result<(), Refusal> {
        match self.0.revoked.judge(caller) {
            Verdict::Revoked => Err(Refusal::SessionRevoked),
            Verdict::Stale => Err(Refusal::Expired),
            Verdict::Good => match self.0.while_silent {
                WhileSilent::RefuseAfter(limit) if self.0.is_deaf(limit) => {
                    Err(Refusal::RevocationsUnavailable { retry_after: RETRY_AFTER })
                }
                _ => Ok(()),
            },
        }
    }

    /// Resolves when a caller whose stream goes on may no longer act, with the reason.
    pub(super) async fn ended(self, caller: Caller) -> Refusal {
        let stream = OpenStream::enter(Arc::clone(&self.0), caller);
        loop {
            // What was learnt before the stream could be woken is seen here.
            match self.0.judge_stream(&stream.caller) {
                Verdict::Good => stream.woken.notified().await,
                Verdict::Revoked => return Refusal::SessionRevoked,
                Verdict::Stale => return Refusal::Expired,
            }
        }
    }
}

#[derive(Debug)]
struct Shared {
    revoked: Revoked,
    streams: OpenStreams,
    /// When the source was last heard, in Unix milliseconds.
    heard: AtomicI64,
    /// Whether it was heard at all.
    is_primed: AtomicBool,
    /// When the last long silence ended.
    blind_until: AtomicI64,
    rounds: AtomicUsize,
    alarmed: AtomicBool,
    clock: Arc<dyn Clock>,
    while_silent: WhileSilent,
}

impl Shared {
    fn add(&self, revocations: Vec<Revocation>) {
        for revocation in revocations {
            let id = revocation.entry.id().to_owned();
            self.revoked.add(revocation);
            self.streams.wake(&id);
        }
        self.heard();
    }

    fn replace(&self, all: Vec<Revocation>) {
        self.revoked.replace(all);
        self.streams.wake_all();
        self.heard();
    }

    fn heard(&self) {
        let now = self.clock.now();
        let was_silent_for = self.silent_for();
        self.heard.store(now.unix_millis(), Ordering::Relaxed);
        self.is_primed.store(true, Ordering::Release);
        if was_silent_for > ALARM_AFTER {
            self.blind_until.store(now.unix_millis(), Ordering::Release);
            self.streams.wake_all();
        }
        self.revoked.prune(self.rounds.fetch_add(1, Ordering::Relaxed), now);
        if self.alarmed.swap(false, Ordering::Relaxed) {
            tracing::info!("revocations are heard again");
        }
    }

    /// A stream broke, or could not be had.
    fn lost(&self, status: &Status) {
        let silent_for = self.silent_for();
        if silent_for > ALARM_AFTER && !self.alarmed.swap(true, Ordering::Relaxed) {
            tracing::error!(
                code = ?status.code(), message = status.message(), ?silent_for,
                "revocations cannot be heard: revoked sessions live until their tokens run out"
            );
        } else {
            tracing::debug!(
                code = ?status.code(), message = status.message(),
                "the stream of revocations broke, and is resumed"
            );
        }
    }

    /// Whether what is known of revocations is worth nothing.
    fn is_deaf(&self, limit: Duration) -> bool {
        !self.is_primed.load(Ordering::Acquire) || self.silent_for() > limit
    }

    /// What is known against going on with a stream. A revocation is told only while a token of its
    /// session could be good; so one that came and went in a silence ends no stream. Those whose
    /// tokens ran out by its end may be of such sessions: their callers come again with new tokens.
    fn judge_stream(&self, caller: &Caller) -> Verdict {
        let blind_until = Timestamp::from_unix_millis(self.blind_until.load(Ordering::Acquire));
        match self.revoked.judge(caller) {
            Verdict::Good if caller.expires_at < blind_until => Verdict::Stale,
            verdict => verdict,
        }
    }

    fn silent_for(&self) -> Duration {
        let heard = Timestamp::from_unix_millis(self.heard.load(Ordering::Relaxed));
        self.clock.now().saturating_since(heard)
    }
}

/// A stream that can be woken for as long as it goes on.
struct OpenStream {
    shared: Arc<Shared>,
    caller: Caller,
    woken: Arc<Notify>,
}

impl OpenStream {
    fn enter(shared: Arc<Shared>, caller: Caller) -> Self {
        let woken = shared.streams.enter(&caller);
        Self { shared, caller, woken }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.shared.streams.leave(&self.caller, &self.woken);
    }
}

/// Longer than a restart of AuthService takes, and shorter than any entry lasts.
const ALARM_AFTER: Duration = Duration::from_secs(15);
const RETRY_AFTER: Duration = Duration::from_secs(1);
