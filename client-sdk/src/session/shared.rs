//! What the clones of one session share.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use token::{
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use tokio::{sync::watch, time::Instant};
use trace_context::TraceIds;

use super::{
    Event, Policy, SessionState, SignOutReason,
    events::BACKLOG,
    token::{Age, Token},
    watcher::Watcher,
};
use crate::{
    AuthenticationError, Refresher, TokenPair,
    flight::{CoolDown, Running, Window},
    store::{Record, Store, StoreError, StoreErrorKind, StoreGuard},
    sync::{ArcSwapOption, Mutex, MutexGuard, broadcast},
};

/// One session. The token that calls carry is behind an atomic pointer; everything else, behind the
/// gate, is touched only when it changes.
pub(crate) struct Shared {
    current: ArcSwapOption<Token>,
    gate: Mutex<Gate>,
    states: watch::Sender<SessionState>,
    /// Made when somebody first listens: it is most of what a session would cost.
    events: OnceLock<broadcast::Sender<Event>>,
    /// The gate's epoch, for tasks that wait.
    epochs: watch::Sender<u64>,
    watcher: Mutex<Watcher>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) refresher: Arc<dyn Refresher>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) trace_ids: TraceIds,
    pub(crate) policy: Policy,
    #[cfg(feature = "auth-service")]
    pub(crate) auth: Option<tonic::transport::Channel>,
}

/// What changes under the one lock.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Counts sign-ins and sign-outs. What began in an earlier epoch changes nothing any more.
    pub(crate) epoch: u64,
    generation: u64,
    pub(crate) held: Option<Held>,
    /// The pair that was signed out from here. The store may hold it for a while, or for good if it
    /// cannot be cleared, and that is nobody's login.
    left: Option<TokenPair>,
    pub(crate) flight: Option<Running>,
    pub(crate) flights: u64,
    pub(crate) window: Window,
    pub(crate) cool_down: Option<CoolDown>,
    rejected: Option<Rejection>,
}

/// A refresh token that its issuer has refused for good. It is never sent again, wherever it turns
/// up: in a store that could not be cleared, or in an application's hands.
#[derive(Debug)]
struct Rejection {
    token: SecretString,
    reason: String,
}

impl Gate {
    /// Notes that the issuer ended the session of `token`.
    pub(crate) fn reject(&mut self, token: SecretString, reason: String) {
        // Without a token the next attempt proves something else, such as a secret.
        if !token.expose_secret().is_empty() {
            self.rejected = Some(Rejection { token, reason });
        }
    }

    /// Why there is no use in spending `pair`, if it is known.
    pub(crate) fn rejection_of(&self, pair: &TokenPair) -> Option<&str> {
        let rejected = self.rejected.as_ref()?;
        let same = rejected.token.expose_secret() == pair.refresh_token.expose_secret();
        same.then_some(&rejected.reason)
    }
}

/// The pair in memory.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) pair: TokenPair,
    pub(crate) received_at: Timestamp,
    pub(crate) saved: Saved,
}

/// Whether the store holds the pair too.
#[derive(Clone, Debug)]
pub(crate) enum Saved {
    Yes,
    No(Base),
}

/// What the store held when a pair could not be saved: should it hold something else later, somebody
/// wrote since.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    Was(Option<Record>),
    Unread,
}

pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) refresher: Arc<dyn Refresher>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) policy: Policy,
    #[cfg(feature = "auth-service")]
    pub(super) auth: Option<tonic::transport::Channel>,
}

impl Shared {
    /// A session with credentials, for which no token has been asked yet.
    pub(super) fn with_credentials(parts: Parts, session_id: String) -> Self {
        let received_at = parts.clock.now();
        let shared = Self::new(parts, None);
        let pair = TokenPair::new("").session_id(session_id);
        let held = Held { pair, received_at, saved: Saved::No(Base::Was(None)) };
        shared.install(&mut shared.gate(), held, Age::Now);
        shared
    }

    /// A session that goes on with what the store held.
    pub(super) fn new(parts: Parts, stored: Option<Record>) -> Self {
        let (max, per) = parts.policy.window;
        let reason = SignOutReason::NotSignedIn;
        let shared = Self {
            current: ArcSwapOption::empty(),
            gate: Mutex::new(Gate {
                epoch: 0,
                generation: 0,
                held: None,
                left: None,
                flight: None,
                flights: 0,
                window: Window::new(max, per),
                cool_down: None,
                rejected: None,
            }),
            states: watch::channel(SessionState::SignedOut { reason }).0,
            events: OnceLock::new(),
            epochs: watch::channel(0).0,
            watcher: Mutex::default(),
            store: parts.store,
            refresher: parts.refresher,
            clock: parts.clock,
            trace_ids: TraceIds::new(parts.entropy.array()),
            entropy: parts.entropy,
            policy: parts.policy,
            #[cfg(feature = "auth-service")]
            auth: parts.auth,
        };
        if let Some(record) = stored {
            shared.install(&mut shared.gate(), Held::adopted(&record), shared.age_of(&record));
        }
        shared
    }

    /// The token that calls carry; `None` when signed out. Takes no lock.
    pub(crate) fn current(&self) -> Option<Arc<Token>> {
        self.current.load_full()
    }

    pub(crate) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().expect("nothing panics while holding the gate")
    }

    pub(crate) fn signed_out(&self) -> AuthenticationError {
        let reason = match &*self.states.borrow() {
            SessionState::SignedOut { reason } => reason.clone(),
            // The session that the caller means has been left for another.
            SessionState::SignedIn { .. } => SignOutReason::LoggedOut,
        };
        AuthenticationError::SignedOut { reason }
    }

    /// Makes `held` the session's pair if the epoch is still `epoch`; `None` if it is not.
    pub(crate) fn commit(&self, epoch: u64, held: Held, age: Age) -> Option<Arc<Token>> {
        let mut gate = self.gate();
        if gate.epoch != epoch {
            return None;
        }
        let event = if gate.held.is_some() { Event::Refreshed } else { Event::SignedIn };
        let token = self.install(&mut gate, held, age);
        drop(gate);
        self.emit(event);
        Some(token)
    }

    /// Begins a new epoch with `held` in it. The store's lock is the caller's to hold.
    pub(super) fn sign_in(&self, held: Held) {
        let mut gate = self.gate();
        self.next_epoch(&mut gate);
        self.install(&mut gate, held, Age::Now);
        drop(gate);
        self.emit(Event::SignedIn);
    }

    /// Ends the epoch, if it is still `epoch`.
    pub(crate) fn sign_out(&self, epoch: Option<u64>, reason: SignOutReason) -> Option<Held> {
        let mut gate = self.gate();
        if epoch.is_some_and(|epoch| epoch != gate.epoch) {
            return None;
        }
        self.next_epoch(&mut gate);
        let held = gate.held.take();
        gate.left = held
            .as_ref()
            .filter(|_| reason != SignOutReason::Elsewhere)
            .map(|held| held.pair.clone());
        self.current.store(None);
        self.states.send_replace(SessionState::SignedOut { reason: reason.clone() });
        drop(gate);
        if held.is_some() {
            self.emit(Event::SignedOut { reason });
        }
        held
    }

    /// Whether `record` is what was signed out from here, and so nobody's login.
    pub(super) fn has_left(&self, record: &Record) -> bool {
        self.gate().left.as_ref().is_some_and(|left| left.same_session(&record.pair))
    }

    /// The store no longer holds what was signed out from here: whatever it will hold is new.
    pub(super) fn left_is_gone(&self) {
        self.gate().left = None;
    }

    /// Ends what is under way without signing anybody in or out.
    pub(super) fn interrupt(&self) {
        self.next_epoch(&mut self.gate());
    }

    fn next_epoch(&self, gate: &mut Gate) {
        gate.epoch += 1;
        gate.flight = None;
        gate.cool_down = None;
        gate.window.clear();
        self.epochs.send_replace(gate.epoch);
    }

    fn install(&self, gate: &mut Gate, held: Held, age: Age) -> Arc<Token> {
        gate.generation += 1;
        let now = Instant::now();
        let token = Token::new(gate.generation, &held.pair, age, now, &*self.entropy);
        let token = Arc::new(token);
        let session_id = held.pair.session_id.clone();
        gate.held = Some(held);
        gate.left = None;
        gate.cool_down = None;
        self.current.store(Some(Arc::clone(&token)));
        self.states.send_if_modified(|state| {
            let next = SessionState::SignedIn { session_id };
            let changed = *state != next;
            *state = next;
            changed
        });
        token
    }

    /// Notes whether the pair of `epoch` is in the store.
    pub(crate) fn set_saved(&self, epoch: u64, saved: Saved) {
        let mut gate = self.gate();
        if gate.epoch == epoch
            && let Some(held) = &mut gate.held
        {
            held.saved = saved;
        }
    }

    /// Completes once `epoch` is over.
    pub(crate) async fn epoch_over(&self, epoch: u64) {
        let mut epochs = self.epochs.subscribe();
        // The sender lives as long as `self`, so this ends only when the epoch does.
        let _ = epochs.wait_for(|now| *now != epoch).await;
    }

    /// How old a stored pair looks by the wall clock. One from the future was saved by a process
    /// whose clock is a little ahead, or before the clock was set back: it counts as new, since a
    /// server that knows better costs one refused call, and a needless refresh costs every process
    /// that shares the store.
    pub(crate) fn age_of(&self, record: &Record) -> Age {
        Age::Hint(self.clock.now().saturating_since(record.received_at))
    }

    /// Takes the store's lock within `limit`.
    pub(crate) async fn lock_store(
        &self,
        limit: Duration,
    ) -> Result<Box<dyn StoreGuard>, StoreError> {
        match tokio::time::timeout(limit, self.store.lock()).await {
            Ok(taken) => taken,
            Err(_) => {
                let message = "another process holds the store's lock";
                Err(StoreError::of_kind(StoreErrorKind::Busy, message))
            }
        }
    }

    pub(crate) fn emit(&self, event: Event) {
        tracing::debug!(?event, "session");
        if let Some(events) = self.events.get() {
            // Nobody listening any more is no error.
            let _ = events.send(event);
        }
    }

    /// Ends with the session.
    pub(super) fn epochs(&self) -> watch::Receiver<u64> {
        self.epochs.subscribe()
    }

    pub(super) fn watcher(&self) -> MutexGuard<'_, Watcher> {
        self.watcher.lock().expect("nothing panics while holding the watcher")
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.get_or_init(|| broadcast::Sender::new(BACKLOG)).subscribe()
    }

    pub(super) fn states(&self) -> watch::Receiver<SessionState> {
        self.states.subscribe()
    }
}

impl Held {
    /// A pair that came out of the store.
    pub(crate) fn adopted(record: &Record) -> Self {
        Self { pair: record.pair.clone(), received_at: record.received_at, saved: Saved::Yes }
    }

    pub(crate) fn record(&self) -> Record {
        Record::new(self.pair.clone(), self.received_at)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("state", &*self.states.borrow())
            .field("store", &self.store)
            .field("refresher", &self.refresher)
            .finish_non_exhaustive()
    }
}
