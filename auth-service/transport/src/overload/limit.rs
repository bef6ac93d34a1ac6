//! How many requests may be under way while more come than can be answered.
//!
//! More than it takes to keep the machine busy only wait for each other once they are under way. How
//! many that takes nobody has to know: as long as fewer get as much done, fewer may be under way
//! (the incremental steps of "Adaptive Load Control in Transaction Processing Systems", Heiss and
//! Wagner, VLDB 1991). What is compared is answers a second, so that it does not matter how much a
//! request takes, or of what.

/// How many may be under way, found window by window.
#[derive(Debug)]
pub(super) struct Limit {
    now: usize,
    least: usize,
    most: usize,
    /// The answers a second of the best window, which is forgotten little by little: requests change.
    best: f64,
    /// Whether fewer have been as good ever since there was a place to spare: then half is tried next.
    falling: bool,
}

/// What a window of time showed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    /// There was a place to spare.
    Spare,
    /// There was none, so many answers, and so many a second.
    Full { answers: u64, rate: f64 },
}

impl Limit {
    /// Begins with `most`, and never lets fewer be under way than `least`, or `most` if that is less.
    pub(super) fn new(least: usize, most: usize) -> Self {
        Self { now: most, least: least.clamp(1, most), most, best: 0.0, falling: true }
    }

    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// How many may be under way from now on.
    pub(super) fn after(&mut self, seen: Seen) -> usize {
        // Up faster than down: where too few are under way, answers are lost.
        let more = self.now + self.now / 4 + 1;
        let next = match seen {
            Seen::Spare => {
                (self.best, self.falling) = (0.0, true);
                more
            }
            Seen::Full { answers, rate } => {
                self.best = (self.best * REMEMBERED).max(rate);
                let as_good = rate >= self.best * as_much(answers);
                self.falling &= as_good;
                match (as_good, self.falling) {
                    (true, true) => self.now / 2,
                    (true, false) => self.now - self.now / 5,
                    (false, _) => more,
                }
            }
        };
        self.now = next.clamp(self.least, self.most);
        self.now
    }
}

/// How much of the best window is left of it in the next one.
const REMEMBERED: f64 = 0.98;

/// What part of the best is as much. No two windows are the same, and those with few answers the least:
/// of `n` answers that come by chance, two windows differ by more than 1.5 / √n one time in seven.
fn as_much(answers: u64) -> f64 {
    1.0 - (1.5 / (answers.max(1) as f64).sqrt()).clamp(0.1, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that is busy with this many requests, and does no more with more of them.
    fn answers(limit: &Limit, busy_with: usize, most: f64) -> Seen {
        let part = limit.now.min(busy_with) as f64 / busy_with as f64;
        Seen::Full { answers: 1_000, rate: most * part }
    }

    /// The least, the most and the mean of what may be under way, once it has been found.
    fn settled(busy_with: usize) -> (usize, usize, f64) {
        let mut limit = Limit::new(8, 1024);
        for _ in 0..50 {
            let seen = answers(&limit, busy_with, 2000.0);
            limit.after(seen);
        }
        let found: Vec<_> = (0..200)
            .map(|_| {
                let seen = answers(&limit, busy_with, 2000.0);
                limit.after(seen)
            })
            .collect();
        let mean = found.iter().sum::<usize>() as f64 / found.len() as f64;
        (*found.iter().min().unwrap(), *found.iter().max().unwrap(), mean)
    }

    #[test]
    fn no_more_are_under_way_than_keep_the_machine_busy() {
        assert_eq!(settled(2), (8, 8, 8.0), "the least is enough");
        for busy_with in [32, 100, 500] {
            let (least, most, mean) = settled(busy_with);
            let of = |count: f64| count / busy_with as f64;
            assert!(of(least as f64) > 0.7, "{least} of {busy_with}");
            assert!(of(most as f64) < 1.3, "{most} of {busy_with}");
            assert!((0.85..1.1).contains(&of(mean)), "{mean} of {busy_with}");
        }
    }

    #[test]
    fn what_takes_longer_is_learned_and_with_a_place_to_spare_all_may_be_under_way_again() {
        let mut limit = Limit::new(8, 1024);
        for rate in [2000.0; 40].into_iter().chain([20.0; 300]) {
            let part = (limit.now.min(16) as f64) / 16.0;
            limit.after(Seen::Full { answers: 1_000, rate: rate * part });
        }
        assert!(limit.now < 32, "{limit:?}");
        let windows = (0..).take_while(|_| limit.after(Seen::Spare) < 1024).count();
        assert!(windows < 25, "{windows}");
    }

    #[test]
    fn the_most_is_never_exceeded_and_may_be_one() {
        let mut limit = Limit::new(8, 1);
        let full = |rate| Seen::Full { answers: 100, rate };
        for seen in [Seen::Spare, full(1.0), full(0.0), Seen::Spare] {
            assert_eq!(limit.after(seen), 1);
        }
    }

    /// A quarter more or less, as it may be with a few dozen answers.
    #[test]
    fn a_machine_that_answers_little_is_found_out_through_the_noise() {
        let mut limit = Limit::new(2, 128);
        for answers in [35, 28, 41, 30, 36, 27, 39, 33, 29, 38, 31, 34] {
            limit.after(Seen::Full { answers, rate: answers as f64 });
        }
        assert!(limit.now() <= 4, "{limit:?}");
    }
}
