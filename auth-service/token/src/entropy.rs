//! The one place that reads the system's randomness.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// A source of random bytes. Services take `Arc<dyn Entropy>`.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `buffer` with bytes that nobody can predict.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// An array of random bytes.
    pub fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A number drawn evenly from `0.0..1.0`, for jitter.
    pub fn unit(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (u64::from_le_bytes(self.array()) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    ///
    /// If the operating system has no randomness to give: a token made without it could be guessed,
    /// so there is nothing safe to go on with.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the source that everything else is given"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system's random generator answers");
    }
}

/// A replayable source for tests: the same seed gives the same bytes in the same order. Predictable
/// by design, so never a source of secrets.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// A source that starts from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            // SplitMix64 (Steele, Lea and Flood, 2014).
            let mut z = self.0.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays() {
        let (a, b) = (SeededEntropy::new(7), SeededEntropy::new(7));
        let (a, b): (&dyn Entropy, &dyn Entropy) = (&a, &b);
        assert_eq!(a.array::<20>(), b.array::<20>());
        assert_ne!(a.array::<20>(), (&SeededEntropy::new(8) as &dyn Entropy).array::<20>());
    }

    #[test]
    fn system_entropy_fills_the_whole_buffer() {
        let entropy: &dyn Entropy = &SystemEntropy;
        let drawn = entropy.array::<64>();
        assert!(drawn.chunks(16).all(|chunk| chunk != [0; 16]));
    }

    #[test]
    fn unit_stays_inside_its_range() {
        let entropy: &dyn Entropy = &SeededEntropy::new(1);
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&entropy.unit())));
    }
}
