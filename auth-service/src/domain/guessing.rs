//! Guessing passwords: how many failures a name has free, and how long it is locked after more.
//!
//! An attempt is counted before its password is looked at, and taken back once that is proven. So
//! guesses that are made at once are counted like guesses one after another, and one whose server
//! dies, or whose caller hangs up, is counted too.

use std::time::Duration;

use token::clock::Timestamp;

/// What is kept of the attempts to log in under one name, whether or not a user has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guesses {
    /// All that there ever were. It only goes up, so an attempt's number names it.
    pub(crate) attempts: u64,
    /// The number of the last attempt that counts no more: a password was proven then, or an
    /// administrator unlocked the name, or everything was long ago.
    pub(crate) forgiven: u64,
    pub(crate) last_attempt: Timestamp,
    /// No attempt is made before.
    pub(crate) locked_until: Timestamp,
}

/// What came of counting an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It may be made; this is what is kept of it.
    Attempt { guesses: Guesses, locks: bool },
    /// The name is locked for so long; nothing changes.
    Locked(Duration),
}

impl Guesses {
    /// Counts one more attempt, unless the name is locked.
    #[must_use]
    pub(crate) fn count(mut self, now: Timestamp) -> Counted {
        let left = self.locked_until.saturating_since(now);
        // One that has longer to go is from a future that the clock has left. The attempt that finds
        // it makes a new one, as long as the failures before it deserve.
        if !left.is_zero() && left <= LONGEST {
            return Counted::Locked(left);
        }
        if now.saturating_since(self.last_attempt) > FORGOTTEN_AFTER {
            self.forgiven = self.attempts;
        }
        self.attempts += 1;
        self.last_attempt = now;
        let lock = lock_after(self.attempts.saturating_sub(self.forgiven));
        if let Some(lock) = lock {
            self.locked_until = now + lock;
        }
        Counted::Attempt { guesses: self, locks: lock.is_some() }
    }

    /// The password was proven by the attempt of this number: it and those before it count no more.
    /// Failures that came after it stay, and with them the lock that they make.
    #[must_use]
    pub(crate) fn forgive(mut self, number: u64) -> Self {
        self.forgiven = self.forgiven.max(number.min(self.attempts));
        if lock_after(self.attempts - self.forgiven).is_none() {
            self.locked_until = Timestamp::default();
        }
        self
    }

    /// Everything so far is forgiven.
    #[must_use]
    pub(crate) fn unlock(self) -> Self {
        self.forgive(self.attempts)
    }

    /// Whether there is anything that an administrator could forgive.
    #[must_use]
    pub(crate) fn counts(&self) -> bool {
        self.attempts > self.forgiven
    }
}

/// How long a name is locked after so many failures that count.
///
/// Who mistypes has some tries free, and then half a minute. Who goes on comes soon to one guess an
/// hour: some 30 guesses on the first day and 24 on each that follows, against passwords of which
/// the most common thousands are refused when they are chosen. It stays at an hour: whoever knows a
/// name can lock it, so a longer lock would serve them. Sessions go on meanwhile.
fn lock_after(failures: u64) -> Option<Duration> {
    let step = usize::try_from(failures.checked_sub(FREE)?).unwrap_or(usize::MAX);
    Some(LADDER.get(step).copied().unwrap_or(LONGEST))
}

/// The failure of this number is the first that locks.
pub(crate) const FREE: u64 = 5;
const LADDER: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
];
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Without an attempt for so long, all are forgotten, and the row goes. Whoever waits for that makes
/// no more guesses a day than one who does not: the free ones and the short locks, three times.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_secs(8 * 60 * 60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn attempt(guesses: Guesses, now: Timestamp) -> (Guesses, bool) {
        match guesses.count(now) {
            Counted::Attempt { guesses, locks } => (guesses, locks),
            Counted::Locked(left) => panic!("locked for {left:?}"),
        }
    }

    #[test]
    fn the_fifth_failure_locks_and_each_one_after_it_for_longer() {
        let (mut guesses, mut now) = (Guesses::default(), START);
        for _ in 1..FREE {
            let locks;
            (guesses, locks) = attempt(guesses, now);
            assert!(!locks);
        }
        for seconds in [30, 60, 300, 900, 3600, 3600] {
            let locks;
            (guesses, locks) = attempt(guesses, now);
            assert!(locks);
            assert_eq!(guesses.count(now), Counted::Locked(Duration::from_secs(seconds)));
            now = now + Duration::from_secs(seconds);
        }
    }

    #[test]
    fn a_proven_password_forgives_what_came_before_it_alone() {
        let mut guesses = Guesses::default();
        for _ in 0..FREE {
            guesses = attempt(guesses, START).0;
        }
        let locked = guesses.count(START);
        assert!(matches!(locked, Counted::Locked(_)));
        // The third was right: two failures are left, and lock nothing.
        let guesses = guesses.forgive(3);
        assert!(matches!(guesses.count(START), Counted::Attempt { locks: false, .. }));
        // What was proven earlier and is told later takes nothing back.
        assert_eq!(guesses.forgive(1), guesses);
        assert!(guesses.counts());
        assert!(!guesses.unlock().counts());
        // A number from a row that is gone forgives no more than there is.
        assert_eq!(Guesses::default().forgive(9), Guesses::default());
    }

    #[test]
    fn hours_of_quiet_forget_and_no_lock_is_as_long() {
        let mut guesses = Guesses::default();
        for _ in 0..FREE {
            guesses = attempt(guesses, START).0;
        }
        let (next, locks) = attempt(guesses, START + FORGOTTEN_AFTER);
        assert!(locks, "it is remembered: {next:?}");
        let later = START + FORGOTTEN_AFTER + Duration::from_millis(1);
        assert!(!attempt(guesses, later).1);
        assert!(LONGEST < FORGOTTEN_AFTER);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_lock_longer_than_the_longest() {
        let mut guesses = Guesses::default();
        for _ in 0..FREE {
            guesses = attempt(guesses, START + LONGEST).0;
        }
        let first = Duration::from_secs(30);
        assert_eq!(guesses.count(START + first), Counted::Locked(LONGEST));
        // Set back by more than that, it locks nobody, and nothing is forgiven either.
        let (again, locks) = attempt(guesses, START);
        assert!(locks);
        assert_eq!(again.count(START), Counted::Locked(2 * first));
    }

    proptest! {
        /// Whatever the guesser's patience, and whatever the clock does.
        #[test]
        fn no_day_has_room_for_more_than_some_thirty_guesses(
            waits in prop::collection::vec(prop_oneof![0_u64..4_000_000, Just(28_800_001)], 1..200),
        ) {
            let (mut guesses, mut now, mut made) = (Guesses::default(), START, 0);
            for wait in waits {
                now = now + Duration::from_millis(wait);
                if now >= START + DAY {
                    break;
                }
                if let Counted::Attempt { guesses: counted, .. } = guesses.count(now) {
                    guesses = counted;
                    made += 1;
                }
            }
            prop_assert!(made <= 36, "{made}");
        }
    }
}
