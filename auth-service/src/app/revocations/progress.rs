//! How far back the next reading goes.

use std::time::Duration;

use token::clock::Timestamp;
use tokio::time::Instant;

/// How far the readers have come; nowhere yet by default.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: Option<Readings>,
    /// When a reading failed last, unless all there is was read since.
    failed: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Readings {
    /// When all there is was read last.
    whole: Instant,
    /// When all was read last that a late write can add to, and the database's time then.
    deep: (Instant, Timestamp),
    /// The last reading of any kind, and the database's time then.
    newest: (Instant, Timestamp),
    /// Whether a late write is to be looked for at once.
    deep_is_due: bool,
}

/// What a reading of the newest covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// All that a late write can have added to since this instant.
    Deep(Timestamp),
    /// What a write without hindrance can have added to since this instant.
    Shallow(Timestamp),
}

impl Reading {
    pub(super) fn since(self) -> Timestamp {
        match self {
            Self::Deep(since) | Self::Shallow(since) => since,
        }
    }
}

impl Progress {
    /// Whether at `at` all there is is to be read: now and then, and once more after any failure,
    /// since whoever answers then may be another database.
    pub(super) fn whole_is_due(&self, at: Instant) -> bool {
        self.failed.is_some()
            || self.last.is_none_or(|last| at.saturating_duration_since(last.whole) >= WHOLE_EVERY)
    }

    /// The reading of the newest that is due at `at`. None before all there is has been read.
    ///
    /// Most writes are short. Those that are not are found soon enough by a deeper look now and
    /// then; at every ring it would make a flood of revocations be read many times over.
    pub(super) fn due(&self, at: Instant) -> Option<Reading> {
        let last = self.last?;
        let deep = last.deep_is_due || at.duration_since(last.deep.0) >= LONGEST_SILENCE;
        Some(match deep {
            true => Reading::Deep(last.deep.1 - LONGEST_WRITE),
            false => Reading::Shallow(last.newest.1 - USUAL_WRITE),
        })
    }

    /// Makes the next reading of the newest a deep one.
    pub(super) fn look_deep(&mut self) {
        if let Some(last) = &mut self.last {
            last.deep_is_due = true;
        }
    }

    /// Notes that `reading`, which began at `at`, has succeeded, at the database's time `now`.
    pub(super) fn note(&mut self, reading: Reading, at: Instant, now: Timestamp) {
        let Some(last) = &mut self.last else { return };
        last.newest = (at, now);
        if matches!(reading, Reading::Deep(_)) {
            last.deep = (at, now);
            last.deep_is_due = false;
        }
    }

    /// Notes that all there is was read, beginning at `at`, at the database's time `now`. Newer
    /// readings may have succeeded meanwhile.
    pub(super) fn note_whole(&mut self, at: Instant, now: Timestamp) {
        let this = (at, now);
        let later = |one: (Instant, Timestamp)| if one.0 > at { one } else { this };
        let last = self.last.get_or_insert(Readings {
            whole: at,
            deep: this,
            newest: this,
            deep_is_due: true,
        });
        last.whole = at;
        last.deep = later(last.deep);
        last.newest = later(last.newest);
        self.failed.take_if(|failed| *failed <= at);
    }

    /// Notes a failure at `at`. What was read before stands, and late writes since are to be looked
    /// for. `true` if it is the first since all there is was read.
    pub(super) fn fail(&mut self, at: Instant) -> bool {
        self.look_deep();
        self.failed.replace(at).is_none()
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
