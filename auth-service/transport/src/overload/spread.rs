//! When those who are refused come back.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Has those who are refused together come back one after the other: told the same, they would be there
/// again together.
///
/// The times are multiples of the golden ratio, of which only what is behind the point counts: however
/// many there are, each falls into one of the widest gaps that those before it have left, and none has
/// to be drawn.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use transport::overload::Spread;
///
/// let (spread, second) = (Spread::default(), Duration::from_secs(1));
/// let [one, other] = [spread.after(second), spread.after(second)];
/// assert!(one >= second && other < 2 * second && one.abs_diff(other) > second / 3);
/// ```
#[derive(Debug, Default)]
pub struct Spread {
    next: AtomicU32,
}

impl Spread {
    /// The time for the next one: `least`, or up to twice as long.
    #[must_use]
    pub fn after(&self, least: Duration) -> Duration {
        let nth = self.next.fetch_add(GOLDEN_RATIO, Ordering::Relaxed);
        least + least.mul_f64(f64::from(nth) / f64::from(u32::MAX))
    }
}

/// What is behind its point, in parts of 2^32.
const GOLDEN_RATIO: u32 = 0x9e37_79b9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_are_refused_they_come_back_one_after_the_other() {
        let spread = Spread::default();
        let second = Duration::from_secs(1);
        for count in [2, 10, 134, 1_000, 10_000] {
            let mut times: Vec<_> = (0..count).map(|_| spread.after(second)).collect();
            times.sort();
            assert!(*times.first().unwrap() >= second && *times.last().unwrap() <= 2 * second);
            // Three times as far apart at the most as if they were told in order.
            let even = second / count;
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] < 3 * even), "{count}");
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] > even / 3), "{count}");
        }
    }
}
