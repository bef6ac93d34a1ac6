//! Chance that can be had again.

use std::{env, time::Duration};

use token::entropy::{Entropy, SeededEntropy, SystemEntropy};

/// A source of chance that tells its seed.
#[derive(Debug)]
pub struct Chance {
    /// What gives the same chance again.
    pub seed: u64,
    source: SeededEntropy,
}

impl Chance {
    /// Of the seed that `EVERGREEN_SEED` says, or else of one that the system draws.
    ///
    /// # Panics
    ///
    /// If `EVERGREEN_SEED` is no number.
    #[must_use]
    pub fn from_env() -> Self {
        let system: &dyn Entropy = &SystemEntropy;
        let seed = number("EVERGREEN_SEED").unwrap_or_else(|| u64::from_le_bytes(system.array()));
        Self { seed, source: SeededEntropy::new(seed) }
    }

    /// Of one purpose of a seed: what is drawn for one moves nothing that is drawn for another.
    #[must_use]
    pub fn of(seed: u64, purpose: u64) -> Self {
        let mixed =
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ purpose.wrapping_mul(0xD1B5_4A32_D192_ED03);
        Self { seed, source: SeededEntropy::new(mixed) }
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

    /// From `from` to below `to` milliseconds.
    #[must_use]
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
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
