//! How far back the next reading goes.

use std::time::Duration;

use token::clock::Timestamp;
use tokio::time::Instant;

/// How far the reader has come; nowhere yet by default.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: Option<Readings>,
    failing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Readings {
    /// When all there is was read last.
    whole: Instant,
    /// When all was read last that a late write can add to.
    deep: Instant,
    /// The database's time at the last reading of any kind.
    now: Timestamp,
}

/// What a reading covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// All there is.
    Whole,
    /// All that a late write can have added to since this instant.
    Deep(Timestamp),
    /// What a write without hindrance can have added to since this instant.
    Shallow(Timestamp),
}

impl Reading {
    pub(super) fn since(self) -> Timestamp {
        match self {
            Self::Whole => Timestamp::UNIX_EPOCH,
            Self::Deep(since) | Self::Shallow(since) => since,
        }
    }
}

impl Progress {
    /// The reading that is due at `at`.
    ///
    /// Most writes are short. Those that are not are found soon enough by a deeper look now and
    /// then; at every ring it would make a flood of revocations be read many times over.
    pub(super) fn due(&self, at: Instant) -> Reading {
        match self.last {
            Some(last) if at.duration_since(last.whole) < WHOLE_EVERY => {
                match at.duration_since(last.deep) < LONGEST_SILENCE {
                    true => Reading::Shallow(last.now - USUAL_WRITE),
                    false => Reading::Deep(last.now - LONGEST_WRITE),
                }
            }
            _ => Reading::Whole,
        }
    }

    /// Notes that `reading`, which began at `at`, has succeeded, at the database's time `now`.
    pub(super) fn note(&mut self, reading: Reading, at: Instant, now: Timestamp) {
        let last = self.last.unwrap_or(Readings { whole: at, deep: at, now });
        self.failing = false;
        self.last = Some(match reading {
            Reading::Whole => Readings { whole: at, deep: at, now },
            Reading::Deep(_) => Readings { deep: at, now, ..last },
            Reading::Shallow(_) => Readings { now, ..last },
        });
    }

    /// Begins again from nowhere: whoever answers next may be another database. `true` if the
    /// reading before did not fail.
    pub(super) fn fail(&mut self) -> bool {
        self.last = None;
        !std::mem::replace(&mut self.failing, true)
    }
}

/// From the instant that a write takes to its commit: longer than a request lives, by more than
/// clocks may differ. A token that was minted meanwhile runs out later by as much.
pub(super) const LONGEST_WRITE: Duration = Duration::from_secs(15);
/// The same of a write that waits for nothing.
const USUAL_WRITE: Duration = Duration::from_secs(1);
/// How long a revocation can go unnoticed that nothing tells of.
pub(super) const LONGEST_SILENCE: Duration = Duration::from_millis(500);
/// How long a database that was set back can go unnoticed if nothing fails.
pub(super) const WHOLE_EVERY: Duration = Duration::from_secs(30);
