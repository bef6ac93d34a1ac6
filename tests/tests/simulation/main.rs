//! The whole system on a simulated network and clock: clients, two AuthServices on one database and
//! an ApiService, all of the real code, under faults that a seed draws.
//!
//! `EVERGREEN_SEEDS` sets how many seeds are tried, `EVERGREEN_SEED` tries one and prints what
//! happened in it.
#![allow(unreachable_pub, reason = "a program of several files")]
#![allow(clippy::unwrap_used, reason = "a simulation that cannot go on stops here")]

mod actors;
mod book;
mod clock;
mod ears;
mod network;
mod plan;
mod run;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use book::Tally;
use tests::chance::number;

#[test]
fn under_any_faults_nobody_honest_is_logged_out_and_every_thief_is_caught() {
    if let Some(seed) = number("EVERGREEN_SEED") {
        let done = run::seed(seed);
        println!("{}", done.log.join("\n"));
        println!("{}", done.tally);
        return;
    }
    let (first, seeds) = (number("EVERGREEN_FIRST_SEED").unwrap_or(0), seeds());
    let next = AtomicU64::new(first);
    let worker = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return tally;
            }
            tally.add(&run::seed(seed).tally);
        }
    };
    let tally = thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(worker)).collect();
        let mut tally = Tally::default();
        for worker in workers {
            tally.add(
                &worker.join().expect("every seed holds; the one that did not is named above"),
            );
        }
        tally
    });
    println!("{tally}");
    if seeds >= SEEDS {
        tally.assert_that_everything_happened();
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 1..=10 {
        let (once, again) = (run::seed(seed), run::seed(seed));
        assert_eq!(once.log, again.log, "seed {seed}");
        assert_eq!(once.tally, again.tally, "seed {seed}");
    }
    assert_ne!(run::seed(1).log, run::seed(2).log);
}

fn seeds() -> u64 {
    number("EVERGREEN_SEEDS").unwrap_or(SEEDS)
}

const SEEDS: u64 = 1_000;
