//! How often something may happen: some at once, and then at a steady pace.
//!
//! All that is kept of it is one instant, when what happened so far is made up for: the generic cell
//! rate algorithm.

use std::{net::IpAddr, time::Duration};

use aws_lc_rs::digest;
use token::clock::Timestamp;

/// So many at once, and then one each interval, of whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    burst: u32,
    interval: Duration,
}

impl Pace {
    pub(crate) const fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval }
    }

    /// When all is made up for if one more happens now, or how long until it may.
    pub(crate) fn take(self, due: Timestamp, now: Timestamp) -> Result<Timestamp, Duration> {
        let room = self.interval * self.burst;
        // One from a future that the clock has left counts no longer than a new one.
        let due = due.max(now).min(now + room);
        let next = due + self.interval;
        let over = next.saturating_since(now + room);
        if over.is_zero() { Ok(next) } else { Err(over) }
    }

    /// When all is made up for if one of those that happened did not.
    pub(crate) fn give_back(self, due: Timestamp) -> Timestamp {
        due - self.interval
    }
}

/// Failed logins of an address: enough for all the people behind one, who mistype a few times on a
/// Monday, and few enough that guesses under ever other names come to two a minute.
pub(crate) const LOGINS: Pace = Pace::new(100, Duration::from_secs(30));
/// Registrations of an address, each of which costs a hash and a row for good: a class can register
/// in its room.
pub(crate) const REGISTRATIONS: Pace = Pace::new(40, Duration::from_secs(60));
/// Wrong secrets of a service, or from an address. There is nothing to guess in 256 random bits, and a
/// right one is never refused: this spares the log.
pub(crate) const SECRETS: Pace = Pace::new(30, Duration::from_secs(10));
/// Refreshes of a session. An honest one needs one each quarter of an hour, and some more while many
/// processes that share a store are started at once, each of which may repeat what was not answered
/// some times a second.
pub(crate) const REFRESHES: Pace = Pace::new(50, Duration::from_millis(100));
/// Uses of a session's tokens without the key that they are bound to. An honest client that has lost its
/// certificate hears so the first time.
pub(crate) const MISMATCHES: Pace = Pace::new(20, Duration::from_secs(30));
/// Refreshes from an address, behind which may be a gateway with the sessions of a whole company, all
/// of them run out: ten thousand at once, and the refreshes of nearly a million sessions after.
pub(crate) const REFRESHES_OF_ADDRESS: Pace = Pace::new(10_000, Duration::from_millis(1));

/// Who is counted, as a digest: what is typed as a name is now and then a password, and belongs in no
/// table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subject(pub(crate) [u8; 32]);

impl Subject {
    /// A user's name as it was typed, but for its case: whether it could be one, and whether a user
    /// has it, makes no difference.
    pub(crate) fn name(typed: &str) -> Self {
        Self::of("name", typed.to_ascii_lowercase().as_bytes())
    }

    /// Where failed logins come from.
    pub(crate) fn logins(address: IpAddr) -> Self {
        Self::of("logins", &network(address))
    }

    /// Where registrations come from.
    pub(crate) fn registrations(address: IpAddr) -> Self {
        Self::of("registrations", &network(address))
    }

    /// The service that a wrong secret was said to be of.
    pub(crate) fn service(client_id: &str) -> Self {
        Self::of("service", client_id.to_ascii_lowercase().as_bytes())
    }

    /// Where wrong secrets come from.
    pub(crate) fn secrets(address: IpAddr) -> Self {
        Self::of("secrets", &network(address))
    }

    fn of(kind: &str, what: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(kind.as_bytes());
        context.update(&[0]);
        context.update(what);
        Self(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Whoever has one address of IPv6 has all of its /64 (RFC 4291 section 2.5.4).
pub(crate) fn network(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_taken_at_once_and_then_one_each_interval() {
        let pace = Pace::new(3, SECOND);
        let mut due = Timestamp::default();
        for _ in 0..3 {
            due = pace.take(due, START).unwrap();
        }
        assert_eq!(pace.take(due, START), Err(SECOND));
        assert_eq!(pace.take(due, START + SECOND / 4), Err(SECOND * 3 / 4));
        due = pace.take(due, START + SECOND).unwrap();
        assert_eq!(pace.take(due, START + SECOND), Err(SECOND));
        // What is given back may be taken again.
        assert!(pace.take(pace.give_back(due), START + SECOND).is_ok());
        // After a while the whole burst is there again, and no more.
        let later = START + 100 * SECOND;
        for _ in 0..3 {
            due = pace.take(due, later).unwrap();
        }
        assert_eq!(pace.take(due, later), Err(SECOND));
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let pace = Pace::new(3, SECOND);
        assert_eq!(pace.take(START + 1000 * SECOND, START), Err(SECOND));
    }

    #[test]
    fn an_address_is_its_network_and_kinds_are_apart() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let logins = |text| Subject::logins(address(text));
        assert_eq!(logins("2001:db8:1:2::1"), logins("2001:db8:1:2:ffff::7"));
        assert_ne!(logins("2001:db8:1:2::1"), logins("2001:db8:1:3::1"));
        assert_ne!(logins("192.0.2.1"), logins("192.0.2.2"));
        assert_ne!(logins("192.0.2.1"), Subject::registrations(address("192.0.2.1")));
        assert_eq!(Subject::name("Ada"), Subject::name("aDA"));
        assert_ne!(Subject::name("ada"), Subject::service("ada"));
    }
}
