//! Keeps the keys at hand.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use token::{
    KeySet,
    clock::{Clock, Timestamp},
    entropy::{Entropy, SystemEntropy},
};
use trace_context::TraceContext;

use super::jwks::{FetchError, KeySource, Keys};
use crate::once;

/// The keys of one source. Clones share them.
///
/// - Nothing is fetched until a token must be judged. Whoever needs keys at the same time shares one
///   fetch, which runs in a task of its own: a caller who goes away harms nobody.
/// - When the age that the source allowed is over, less a drawn part of up to a tenth, so that a fleet
///   does not ask in step, the next call waits for new keys: a withdrawn key is not trusted for
///   longer than that. If the source does not answer, the old keys go on
///   serving and it is asked again in the background.
/// - A token that names an unknown key causes a fetch, at most one in each
///   [interval](Self::lookup_interval).
///
/// Judging a token by keys that are at hand takes no lock.
#[derive(Clone, Debug)]
pub struct KeyCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Box<dyn KeySource>,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    failed: AtomicU64,
    flight: Mutex<Flight>,
    lookup_interval: Duration,
    entropy: Arc<dyn Entropy>,
}

/// The keys at hand.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) keys: KeySet,
    /// Counts fetches: keys of the same number are the same.
    pub(super) version: u64,
    fetched_at: Timestamp,
    /// When to ask again.
    due: Timestamp,
    /// The source was asked when these keys' age was over, and did not answer.
    overdue: bool,
}

#[derive(Debug, Default)]
struct Flight {
    started: Option<Timestamp>,
    /// Whether the last one failed. True while one is under way, so that one which panics has
    /// failed.
    failed: bool,
    /// Says, when it has landed, whether it brought keys; closed without a word if it panicked.
    landing: Option<once::Receiver<bool>>,
}

/// What came of asking for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The keys are new.
    Fetched,
    /// The source did not answer, now or a moment ago.
    Unreachable,
    /// The source answered a moment ago, and was not asked again.
    Throttled,
}

impl KeyCache {
    /// When to ask again a source that did not answer.
    pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);

    /// No source is waited for any longer.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// The bounds of what a source may ask for as the age of its keys: with no age at all every
    /// call would fetch, and with an endless one a withdrawn key would never go.
    const AGES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

    /// A cache of `source`'s keys.
    #[must_use]
    pub fn new(source: impl KeySource, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            source: Box::new(source),
            clock,
            held: ArcSwapOption::empty(),
            failed: AtomicU64::new(0),
            flight: Mutex::default(),
            lookup_interval: Duration::from_secs(5),
            entropy: Arc::new(SystemEntropy),
        }))
    }

    /// How much time lies at least between two fetches that unknown key names caused; 5 s unless
    /// set. A key that signs before this cache's interval lets it be found is refused until then,
    /// which AuthService avoids by publishing a key long before it signs.
    ///
    /// # Panics
    ///
    /// If the cache has been cloned already: its clones share the setting.
    #[must_use]
    pub fn lookup_interval(mut self, interval: Duration) -> Self {
        self.unshared().lookup_interval = interval;
        self
    }

    /// Where the jitter of the keys' age comes from; the operating system unless set.
    ///
    /// # Panics
    ///
    /// If the cache has been cloned already.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.unshared().entropy = entropy;
        self
    }

    fn unshared(&mut self) -> &mut Inner {
        Arc::get_mut(&mut self.0).expect("set before the cache is shared")
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The keys at hand, if a token may be judged by them without waiting.
    pub(super) fn usable(&self, now: Timestamp) -> Option<arc_swap::Guard<Option<Arc<Held>>>> {
        let held = self.0.held.load();
        let keys = held.as_ref()?;
        if now < keys.due {
            return Some(held);
        }
        if keys.overdue {
            drop(self.ask(now, Self::RETRY_INTERVAL));
            return Some(held);
        }
        None
    }

    /// The keys at hand, however old.
    pub(super) fn any(&self) -> Option<Arc<Held>> {
        self.0.held.load_full()
    }

    /// Asks for keys because there are none or their age is over.
    pub(super) async fn renew(&self, now: Timestamp) -> Lookup {
        self.land(self.ask(now, self.renewal_gap())).await
    }

    /// Asks for keys because a token names an unknown one.
    pub(super) async fn look_up(&self, now: Timestamp) -> Lookup {
        self.land(self.ask(now, self.0.lookup_interval)).await
    }

    /// Does what [`Self::renew`] or [`Self::look_up`] does, without waiting for what comes of it.
    pub(super) fn warm_up(&self, now: Timestamp) {
        let known = self.usable(now).is_some();
        let gap = if known { self.0.lookup_interval } else { self.renewal_gap() };
        drop(self.ask(now, gap));
    }

    fn renewal_gap(&self) -> Duration {
        if self.flight().failed { Self::RETRY_INTERVAL } else { Duration::ZERO }
    }

    async fn land(&self, asked: Result<once::Receiver<bool>, Lookup>) -> Lookup {
        match asked {
            Ok(landing) => match landing.wait().await {
                Some(true) => Lookup::Fetched,
                _ => Lookup::Unreachable,
            },
            Err(lookup) => lookup,
        }
    }

    /// Joins the fetch under way, or starts one unless the last began less than `gap` ago.
    fn ask(&self, now: Timestamp, gap: Duration) -> Result<once::Receiver<bool>, Lookup> {
        let mut flight = self.flight();
        if let Some(landing) = &flight.landing
            && landing.is_pending()
        {
            return Ok(landing.clone());
        }
        if flight.started.is_some_and(|started| now.saturating_since(started) < gap) {
            return Err(if flight.failed { Lookup::Unreachable } else { Lookup::Throttled });
        }
        let (landed, landing) = once::channel();
        *flight = Flight { started: Some(now), failed: true, landing: Some(landing.clone()) };
        drop(flight);
        let cache = self.clone();
        tokio::spawn(TraceContext::carried(async move {
            let fetched = cache.fetch().await;
            landed.send(fetched);
        }));
        Ok(landing)
    }

    async fn fetch(&self) -> bool {
        let answer = match tokio::time::timeout(Self::PATIENCE, self.0.source.fetch()).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(FetchError::Unreachable(Box::new(elapsed))),
        };
        let now = self.now();
        match answer {
            Ok(Keys { keys, max_age }) if !keys.is_empty() => {
                let age = max_age.clamp(Self::AGES.0, Self::AGES.1);
                let due = now + (age - (age / 10).mul_f64(self.0.entropy.unit()));
                let version = self.any().map_or(0, |old| old.version + 1);
                let (fetched_at, overdue) = (now, false);
                let held = Held { keys, version, fetched_at, due, overdue };
                self.0.held.store(Some(Arc::new(held)));
                self.flight().failed = false;
                true
            }
            answer => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
                let error = answer.err().unwrap_or(FetchError::Empty);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the keys that verify access tokens could not be fetched"
                );
                if let Some(old) = self.any().filter(|old| now >= old.due) {
                    let due = now + Self::RETRY_INTERVAL;
                    let held = Held { keys: old.keys.clone(), due, overdue: true, ..*old };
                    self.0.held.store(Some(Arc::new(held)));
                }
                false
            }
        }
    }

    /// How many fetches have brought keys and how many have not, and how old the keys are.
    pub(super) fn counted(&self) -> (u64, u64, Option<Duration>) {
        let held = self.any();
        let age = held.as_ref().map(|held| self.now().saturating_since(held.fetched_at));
        // The first keys have the number 0.
        let fetched = held.map_or(0, |held| held.version + 1);
        (fetched, self.0.failed.load(Ordering::Relaxed), age)
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        // Each change of a flight is one assignment: a panic leaves nothing half done.
        self.0.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
