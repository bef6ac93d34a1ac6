//! Revoking sessions that the database does not know.
//!
//! Each leaves a tombstone, which every follower of revocations is told of, and an id is easily made
//! up. A user may leave some in an hour: more than anybody has sessions that a restore could have
//! forgotten. Who holds a token of such a session ends it by logging out, and is not counted.

use std::time::Duration;

use token::clock::Timestamp;

/// How many unknown sessions a user may revoke within [`WINDOW`].
pub(crate) const MOST: u32 = 30;
/// How long each of them counts.
pub(crate) const WINDOW: Duration = Duration::from_secs(3_600);

/// How long a user waits before they may revoke one more, if they must. `oldest` is the instant of
/// the newest tombstone but [`MOST`] less one, if that many count at `now`.
pub(crate) fn wait(oldest: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let wait = (oldest? + WINDOW).saturating_since(now);
    // One from a future that the clock has left counts no longer than a new one.
    (!wait.is_zero()).then(|| wait.min(WINDOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_counts_for_the_window_and_never_longer() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(wait(None, now), None);
        assert_eq!(wait(Some(now), now), Some(WINDOW));
        assert_eq!(wait(Some(now - WINDOW + second), now), Some(second));
        assert_eq!(wait(Some(now - WINDOW), now), None);
        assert_eq!(wait(Some(now + WINDOW), now), Some(WINDOW));
    }
}
