//! Bounds how often a server that always refuses can make us refresh.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Counts the refreshes whose new token no call has had accepted yet.
#[derive(Debug)]
pub(crate) struct Window {
    max: usize,
    per: Duration,
    unproven: VecDeque<Instant>,
}

impl Window {
    pub(crate) const fn new(max: usize, per: Duration) -> Self {
        Self { max, per, unproven: VecDeque::new() }
    }

    /// Whether one more may start.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        while self.unproven.front().is_some_and(|then| now.duration_since(*then) >= self.per) {
            self.unproven.pop_front();
        }
        self.unproven.len() < self.max
    }

    /// Notes a new token.
    pub(crate) fn record(&mut self, now: Instant) {
        self.unproven.push_back(now);
    }

    /// A token was accepted: what came before was no loop.
    pub(crate) fn clear(&mut self) {
        self.unproven.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PER: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn the_window_slides() {
        let now = Instant::now();
        let mut window = Window::new(2, PER);
        window.record(now);
        window.record(now + PER / 2);
        assert!(!window.admits(now + PER / 2));
        assert!(window.admits(now + PER));
    }

    #[tokio::test(start_paused = true)]
    async fn one_acceptance_clears_it() {
        let now = Instant::now();
        let mut window = Window::new(1, PER);
        window.record(now);
        assert!(!window.admits(now));
        window.clear();
        assert!(window.admits(now));
    }
}
