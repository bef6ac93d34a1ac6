//! What happened, and what must be true of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tonic::Code;
use transport::observe::{Ended, Observer};

/// What the actors of one seed write down.
#[derive(Clone, Debug, Default)]
pub struct Book(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
pub struct Pages {
    pub log: Vec<String>,
    pub tally: Tally,
    /// Sessions that a client was told are over, and why.
    pub rejected: Vec<(String, String)>,
    /// Sessions whose holder was told that they are logged out, with their last refresh token.
    pub logged_out: Vec<(String, String)>,
    /// Sessions that somebody has set out to leave.
    pub left: BTreeSet<String>,
    pub stolen: BTreeSet<String>,
    /// Sessions in which a thief's own attempt was answered with a new pair.
    pub spent_by_thief: BTreeSet<String>,
    /// When a call of each client last succeeded.
    pub last_good: BTreeMap<&'static str, Duration>,
    /// Who is signed in, as they themselves know.
    pub holders: BTreeMap<&'static str, String>,
    /// Every token that anybody held.
    pub tokens: BTreeSet<String>,
    pub slowest: Duration,
}

impl Book {
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        // Who panicked meanwhile has written whole lines.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn log(&self, who: &str, what: impl fmt::Display) {
        let at = turmoil::sim_elapsed().unwrap_or_default();
        self.pages().log.push(format!("{:>9.3} {who:<8} {what}", at.as_secs_f64()));
    }
}

/// Counts what a server answered.
impl Observer for Book {
    fn ended(&self, rpc: &Ended<'_>) {
        let method = rpc.method.rsplit('/').next().unwrap_or_default();
        let tally = &mut self.pages().tally;
        match (method, rpc.code) {
            ("Refresh", Code::Ok) => tally.refreshes += 1,
            ("Refresh", Code::Aborted) => tally.superseded += 1,
            ("Refresh", Code::Unauthenticated) => tally.rejections += 1,
            ("Refresh", _) => tally.refreshes_unanswered += 1,
            ("ListCategories", Code::Unauthenticated) => tally.refused += 1,
            _ => {}
        }
    }
}

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident: $words:literal,)*) => {
        /// How often what happened.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Tally {
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Thousands of seeds that never meet a fault would show nothing.
            pub fn assert_that_everything_happened(&self) {
                $(assert!(self.$name > 0, concat!("there were no ", $words));)*
            }
        }

        impl fmt::Display for Tally {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>9}  {}", self.$name, $words)?;)*
                Ok(())
            }
        }
    };
}

tally! {
    seeds: "seeds",
    calls: "calls that were answered",
    refused: "calls that were refused for their token",
    failed: "calls that failed for a time",
    logins: "logins",
    logouts: "logouts",
    rotations: "rotations committed",
    refreshes: "refreshes answered with a pair",
    repeated: "lost answers got again",
    superseded: "refreshes superseded",
    refreshes_unanswered: "refreshes that failed for a time",
    adopted: "rows adopted after a restore",
    rejections: "refreshes rejected",
    cuts: "networks cut",
    holds: "messages kept back",
    crashes: "crashes",
    clock_steps: "clock steps",
    slow_disks: "slow disks",
    restores: "restores",
    rings: "rings rotated",
    thefts: "thefts",
    thieves_first: "thieves who came first",
    exposed: "sessions ended for a theft",
}
