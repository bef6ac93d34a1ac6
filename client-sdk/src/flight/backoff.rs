//! Spaces the repetitions of an attempt, within a budget.

use std::{fmt, sync::Arc, time::Duration};

use token::entropy::Entropy;
use tokio::time::Instant;

use crate::telemetry;

/// Exponential delays with jitter, until the budget is spent.
pub(crate) struct Backoff {
    ends: Instant,
    step: Duration,
    entropy: Arc<dyn Entropy>,
}

impl Backoff {
    pub(crate) fn new(budget: Duration, entropy: Arc<dyn Entropy>) -> Self {
        Self { ends: Instant::now() + budget, step: FIRST, entropy }
    }

    /// What is left of the budget.
    pub(crate) fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Waits before the next repetition, for as long as the other side asked if that is longer.
    /// False, at once, if the budget does not last until then.
    pub(crate) async fn wait(&mut self, asked: Option<Duration>) -> bool {
        let Some(delay) = self.delay(asked) else { return false };
        telemetry::backing_off(delay);
        tokio::time::sleep(delay).await;
        true
    }

    /// How long to wait before the next repetition; `None` if the budget does not last until then.
    ///
    /// Half of each step is fixed, so that repetitions do thin out, or as long as the other side asked;
    /// half is drawn, so that many clients who were told the same do not keep step.
    pub(crate) fn delay(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let half = self.step / 2;
        self.step = (self.step * 2).min(LONGEST);
        let delay = half.max(asked.unwrap_or_default()) + half.mul_f64(self.entropy.unit());
        (delay < self.remaining()).then_some(delay)
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").field("step", &self.step).finish_non_exhaustive()
    }
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use token::entropy::SeededEntropy;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn delays_double_with_jitter_and_stay_inside_the_budget() {
        let start = Instant::now();
        let budget = Duration::from_secs(60);
        let mut backoff = Backoff::new(budget, Arc::new(SeededEntropy::new(3)));
        let mut expected = FIRST;
        let mut last = start;
        while backoff.wait(None).await {
            let waited = last.elapsed();
            // A timer may fire up to a millisecond late.
            assert!(waited >= expected / 2 && waited <= expected + Duration::from_millis(1));
            last = Instant::now();
            expected = (expected * 2).min(LONGEST);
        }
        assert!(start.elapsed() < budget);
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_delay_is_obeyed_or_ends_it() {
        let start = Instant::now();
        let mut backoff = Backoff::new(Duration::from_secs(10), Arc::new(SeededEntropy::new(3)));
        assert!(backoff.wait(Some(Duration::from_secs(4))).await);
        assert!(start.elapsed() >= Duration::from_secs(4));
        assert!(!backoff.wait(Some(Duration::from_secs(60))).await);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_who_are_told_the_same_do_not_keep_step() {
        let asked = Duration::from_secs(4);
        let mut delays: Vec<_> = (0..100)
            .map(|seed| Backoff::new(10 * asked, Arc::new(SeededEntropy::new(seed))))
            .map(|mut backoff| backoff.delay(Some(asked)).unwrap())
            .collect();
        assert!(delays.iter().all(|delay| (asked..=asked + FIRST / 2).contains(delay)));
        delays.sort();
        delays.dedup();
        assert_eq!(delays.len(), 100);
    }
}
