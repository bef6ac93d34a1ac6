//! Chance that can be had again.

use std::env;

use token::entropy::{Entropy, SeededEntropy, SystemEntropy};

/// A source of chance that tells its seed.
#[derive(Debug)]
pub struct Chance {
    /// What `EVERGREEN_SEED` says, or else what the system drew.
    pub seed: u64,
    source: SeededEntropy,
}

impl Chance {
    /// # Panics
    ///
    /// If `EVERGREEN_SEED` is no number.
    #[must_use]
    pub fn from_env() -> Self {
        let system: &dyn Entropy = &SystemEntropy;
        let seed = number("EVERGREEN_SEED").unwrap_or_else(|| u64::from_le_bytes(system.array()));
        Self { seed, source: SeededEntropy::new(seed) }
    }

    /// A number below `end`.
    #[must_use]
    pub fn below(&self, end: u64) -> u64 {
        let source: &dyn Entropy = &self.source;
        u64::from_le_bytes(source.array()) % end
    }

    /// True once in `n` times.
    #[must_use]
    pub fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The number that an environment variable holds, if it is set.
///
/// # Panics
///
/// If it holds something else.
#[must_use]
pub fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}: {value:?} is no number")))
}
