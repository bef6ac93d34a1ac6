//! Clocks that run on simulated time, each with an error of its own, and storage that dawdles.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use auth_service::Pace;
use token::{
    clock::{Clock, Timestamp},
    entropy::{Entropy, SeededEntropy},
};

/// How far a machine's clock is off, in milliseconds. What is set shows after the next start.
#[derive(Clone, Debug, Default)]
pub struct Offset(Arc<AtomicI64>);

impl Offset {
    pub fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }

    /// The clock of a program that starts now.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(Simulated { offset: self.0.load(Ordering::Relaxed), last: AtomicI64::new(0) })
    }
}

#[derive(Debug)]
struct Simulated {
    offset: i64,
    last: AtomicI64,
}

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        // Outside of a host, as in its last moments, time stands still.
        let elapsed = turmoil::sim_elapsed().map(|elapsed| elapsed.as_millis());
        let now = elapsed.and_then(|elapsed| i64::try_from(elapsed).ok());
        let now = now.unwrap_or_else(|| self.last.load(Ordering::Relaxed));
        self.last.store(now, Ordering::Relaxed);
        Timestamp::from_unix_millis(EPOCH_MILLIS + now + self.offset)
    }
}

const EPOCH_MILLIS: i64 = 1_800_000_000_000;

/// A storage that is slow now and then.
#[derive(Debug)]
pub struct Dawdling {
    chance: SeededEntropy,
    /// How slow at worst, in milliseconds; 0 for not at all.
    worst: AtomicU64,
}

impl Dawdling {
    pub fn new(seed: u64) -> Self {
        Self { chance: SeededEntropy::new(seed), worst: AtomicU64::new(5) }
    }

    pub fn set_worst(&self, millis: u64) {
        self.worst.store(millis, Ordering::Relaxed);
    }
}

impl Pace for Dawdling {
    fn delay(&self) -> Duration {
        let worst = self.worst.load(Ordering::Relaxed) as f64;
        let chance: &dyn Entropy = &self.chance;
        Duration::from_millis((worst * chance.unit().powi(4)) as u64)
    }
}
