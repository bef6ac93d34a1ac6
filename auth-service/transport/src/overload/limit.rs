//! How many requests may be under way while more come than can be answered.
//!
//! More than it takes to keep the machine busy only wait for each other once they are under way. How
//! many that takes nobody has to know: where fewer get as much done, fewer may be under way (the
//! incremental steps of "Adaptive Load Control in Transaction Processing Systems", Heiss and Wagner,
//! VLDB 1991). What is compared is answers a second, so that it does not matter how much a request
//! takes, or of what. And only two windows of time are compared that follow each other: a machine
//! that shares its processors with others is a quarter faster or slower from one to the next, and the
//! best of many windows is luck that none of the later ones has.

/// How many may be under way, found window by window.
#[derive(Debug)]
pub(super) struct Limit {
    now: usize,
    least: usize,
    most: usize,
    search: Search,
}

/// What a window of time showed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen {
    /// There were places enough.
    Spare,
    /// There were not, and so many answers a second.
    Full { rate: f64 },
}

/// So many answers a second while so many were under way.
#[derive(Clone, Copy, Debug)]
struct Window {
    places: usize,
    rate: f64,
}

#[derive(Debug)]
enum Search {
    /// A quarter in each window, for as long as that costs little.
    Falling { before: Option<Window> },
    /// A few less and a few more than `middle` in turn, which goes where that shows.
    Around { middle: f64, before: Option<Window> },
}

impl Limit {
    /// Begins with `most`, and never lets fewer be under way than `least`, or `most` if that is less.
    pub(super) fn new(least: usize, most: usize) -> Self {
        let search = Search::Falling { before: None };
        Self { now: most, least: least.clamp(1, most), most, search }
    }

    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// How many may be under way from now on.
    pub(super) fn after(&mut self, seen: Seen) -> usize {
        let next = match seen {
            Seen::Spare => {
                self.search = Search::Falling { before: None };
                self.now + self.now / 4 + 1
            }
            Seen::Full { rate } => self.step(Window { places: self.now, rate }),
        };
        self.now = next.clamp(self.least, self.most);
        self.now
    }

    fn step(&mut self, seen: Window) -> usize {
        let places = seen.places;
        match self.search {
            Search::Falling { before } => match before {
                Some(before) if elasticity(before, seen) > STEEP => {
                    // As if every place that is missing had kept a part of the machine busy.
                    let enough = places as f64 * before.rate / seen.rate;
                    self.around(enough.min(before.places as f64))
                }
                _ if places == self.least => self.around(places as f64),
                _ => {
                    self.search = Search::Falling { before: Some(seen) };
                    places / 4
                }
            },
            Search::Around { middle, before: None } => {
                self.search = Search::Around { middle, before: Some(seen) };
                let fewer = self.fewer(middle);
                if places == fewer { self.more(middle) } else { fewer }
            }
            Search::Around { middle, before: Some(before) } => {
                let gain = elasticity(before, seen);
                let middle = middle * (PACE * (gain - WORTHWHILE)).exp();
                let middle = middle.clamp(self.least as f64, self.most as f64);
                self.search = Search::Around { middle, before: None };
                // Less, more, more, less: what becomes faster or slower meanwhile favours neither.
                if places > before.places { self.more(middle) } else { self.fewer(middle) }
            }
        }
    }

    fn around(&mut self, middle: f64) -> usize {
        self.search = Search::Around { middle, before: None };
        self.fewer(middle)
    }

    fn fewer(&self, middle: f64) -> usize {
        ((middle / APART).round() as usize).clamp(self.least, self.most)
    }

    fn more(&self, middle: f64) -> usize {
        ((middle * APART).ceil() as usize).clamp(self.least, self.most)
    }
}

/// By how many percent answers grow where places grow by one (the elasticity of production): 1 where
/// all of them wait for places, 0 where places wait for the machine, less where they are in each
/// other's way.
fn elasticity(one: Window, other: Window) -> f64 {
    if one.places == other.places {
        return 0.0;
    }
    // Of nothing there is no logarithm.
    let rate = |window: Window| window.rate.clamp(f64::MIN_POSITIVE, f64::MAX).ln();
    let places = |window: Window| (window.places as f64).ln();
    ((rate(other) - rate(one)) / (places(other) - places(one))).clamp(-1.0, 1.5)
}

/// The part of a percent of answers that a percent of places has to bring.
const WORTHWHILE: f64 = 0.12;
/// How far one pair of windows leads: not so far that chance leads far.
const PACE: f64 = 0.6;
/// What says that a quarter is too few, and no chance does: two fifths of the answers are gone.
const STEEP: f64 = 0.35;
/// How much less than the middle, and how much more: √2, so that one is twice the other.
const APART: f64 = std::f64::consts::SQRT_2;

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that is busy with so many requests, and does no more with more of them.
    #[derive(Clone, Copy)]
    struct Machine {
        busy_with: usize,
        most: f64,
        /// By how much it is faster or slower than usual, at the most.
        unsteady: f64,
        seed: u64,
    }

    impl Machine {
        fn new(busy_with: usize, seed: u64) -> Self {
            Self { busy_with, most: 2000.0, unsteady: 0.25, seed }
        }

        fn rate(&mut self, places: usize) -> f64 {
            // Knuth's generator, of which the upper bits are good.
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(SEEDS);
            let chance = (self.seed >> 40) as f64 / (1_u64 << 24) as f64;
            let part = (places as f64 / self.busy_with as f64).min(1.0);
            self.most * part * (1.0 + self.unsteady * (2.0 * chance - 1.0))
        }

        /// The mean of what is under way, and of the part of the most that is answered, of the windows
        /// that follow the first.
        fn under(&mut self, limit: &mut Limit, first: usize, windows: usize) -> (f64, f64) {
            let (mut under_way, mut answered) = (0.0, 0.0);
            for window in 0..first + windows {
                let places = limit.now();
                let rate = self.rate(places);
                limit.after(Seen::Full { rate });
                if window >= first {
                    under_way += places as f64;
                    answered += rate / self.most;
                }
            }
            (under_way / windows as f64, answered / windows as f64)
        }
    }

    const SEEDS: u64 = 1_442_695_040_888_963_407;

    #[test]
    fn no_more_are_under_way_than_keep_the_machine_busy_however_unsteady_it_is() {
        for busy_with in [2, 32, 100, 500] {
            let found = (0..200).map(|seed| {
                let mut limit = Limit::new(4, 1024);
                let (under_way, answered) = Machine::new(busy_with, seed).under(&mut limit, 40, 60);
                let under_way = under_way / busy_with.max(4) as f64;
                assert!(answered > 0.8 && under_way < 5.0, "{under_way}, {answered}; seed {seed}");
                (under_way, answered)
            });
            let (under_way, answered): (Vec<_>, Vec<_>) = found.unzip();
            let mean = |of: Vec<f64>| of.iter().sum::<f64>() / of.len() as f64;
            let (under_way, answered) = (mean(under_way), mean(answered));
            assert!(answered > 0.92, "{answered} of what {busy_with} answer");
            assert!(under_way < 2.0, "{under_way} times {busy_with}");
        }
    }

    #[test]
    fn a_few_windows_are_enough_where_few_keep_the_machine_busy() {
        for seed in 0..200 {
            let mut limit = Limit::new(4, 128);
            let (under_way, _) = Machine::new(2, seed).under(&mut limit, 8, 10);
            assert!(under_way < 20.0, "{under_way}; seed {seed}");
        }
    }

    #[test]
    fn what_takes_longer_is_learned_and_with_a_place_to_spare_all_may_be_under_way_again() {
        let mut limit = Limit::new(4, 1024);
        Machine::new(500, 1).under(&mut limit, 0, 40);
        let slower = Machine { most: 20.0, ..Machine::new(8, 2) };
        let (under_way, _) = { slower }.under(&mut limit, 200, 40);
        assert!(under_way < 24.0, "{under_way}");
        let (under_way, _) = Machine::new(500, 3).under(&mut limit, 40, 40);
        assert!(under_way > 300.0, "{under_way}");
        Machine::new(2, 4).under(&mut limit, 40, 1);
        let windows = (0..).take_while(|_| limit.after(Seen::Spare) < 1024).count();
        assert!(windows < 25, "{windows}");
    }

    /// More of them are in each other's way, as where they take each other's memory.
    #[test]
    fn where_more_is_less_the_least_is_enough() {
        let mut limit = Limit::new(4, 1024);
        for _ in 0..40 {
            limit.after(Seen::Full { rate: 1e3 / limit.now() as f64 });
        }
        assert!(limit.now() <= 6, "{limit:?}");
    }

    #[test]
    fn the_most_is_never_exceeded_and_may_be_one() {
        for most in [1, 2, 3, 100] {
            let mut limit = Limit::new(8, most);
            let full = |rate| Seen::Full { rate };
            let seen = [full(1.0), full(9.0), full(0.0), Seen::Spare, full(f64::MAX), full(1.0)];
            for seen in seen.into_iter().cycle().take(60) {
                assert!((8.min(most)..=most).contains(&limit.after(seen)), "{limit:?}");
            }
        }
    }
}
