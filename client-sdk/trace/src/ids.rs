//! Making ids.

use std::sync::atomic::{AtomicU64, Ordering};

use super::TraceContext;

/// Makes the ids of traces and spans. They are spread evenly and as good as unique; they are no
/// secrets, so that none has to be drawn from the system for each request.
///
/// ```
/// use trace_context::TraceIds;
///
/// let ids = TraceIds::new([7; 16]);
/// let (one, other) = (ids.root(), ids.root());
/// assert_ne!(one.trace_id(), other.trace_id());
/// let child = ids.child_of(one);
/// assert_eq!(child.trace_id(), one.trace_id());
/// assert_ne!(child.span_id(), one.span_id());
/// ```
#[derive(Debug)]
pub struct TraceIds {
    /// Tells this maker's traces from those of another one that draws the same numbers.
    mark: u64,
    drawn: AtomicU64,
}

impl TraceIds {
    /// From random bytes.
    #[must_use]
    pub fn new(seed: [u8; 16]) -> Self {
        let seed = u128::from_le_bytes(seed);
        Self { mark: (seed >> 64) as u64, drawn: AtomicU64::new(seed as u64) }
    }

    /// The first span of a new trace.
    #[must_use]
    pub fn root(&self) -> TraceContext {
        let trace = u128::from(self.draw() ^ self.mark) << 64 | u128::from(self.draw());
        TraceContext::new(trace, self.draw())
    }

    /// Another span of `parent`'s trace.
    #[must_use]
    pub fn child_of(&self, parent: TraceContext) -> TraceContext {
        parent.with_span(self.draw())
    }

    /// Never zero, which means no id.
    fn draw(&self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, 2014), which gives each number once.
        let mut z = self.drawn.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).max(1)
    }
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_and_another_seed_gives_others() {
        let (one, other) = (TraceIds::new([1; 16]), TraceIds::new([2; 16]));
        let drawn = (0..10_000).flat_map(|_| [one.root().trace_id(), other.root().trace_id()]);
        assert_eq!(drawn.collect::<HashSet<_>>().len(), 20_000);
    }
}
