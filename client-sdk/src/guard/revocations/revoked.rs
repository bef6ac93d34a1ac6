//! What is known to be revoked.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use token::{Verifier, clock::Timestamp};

use super::{Entry, Revocation};
use crate::guard::caller::Identity;

/// Sessions whose tokens are no longer good, and accounts whose older tokens are stale.
#[derive(Default)]
pub(super) struct Revoked {
    /// Picked by an id's last bytes, which are random in ids of every kind, so that calls on
    /// different cores seldom meet.
    shards: [RwLock<Shard>; SHARDS],
    entries: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    /// Until when a token of the session could be good.
    sessions: HashMap<Box<str>, Timestamp>,
    accounts: HashMap<Box<str>, Stale>,
}

/// Tokens of an account with a lesser version are stale.
#[derive(Clone, Copy)]
struct Stale {
    version: u32,
    until: Timestamp,
}

/// What is known against a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Its session was ended.
    Revoked,
    /// Its roles have changed.
    Stale,
}

impl Revoked {
    /// What is known against a token of `caller` that has not run out.
    pub(super) fn judge(&self, caller: &Identity) -> Verdict {
        if self.len() == 0 {
            return Verdict::Good;
        }
        if self.read(&caller.session_id).sessions.contains_key(&*caller.session_id) {
            return Verdict::Revoked;
        }
        match self.read(&caller.user_id).accounts.get(&*caller.user_id) {
            Some(stale) if caller.roles_version < stale.version => Verdict::Stale,
            _ => Verdict::Good,
        }
    }

    /// Adds to what is known.
    pub(super) fn add(&self, revocation: Revocation) {
        let Revocation { entry, until } = revocation;
        let mut shard = self.write(entry.id());
        let before = shard.len();
        shard.insert(entry, until);
        self.entries.fetch_add(shard.len() - before, Ordering::Release);
    }

    /// Puts `all` in the place of what was known. What is in both is known at every moment.
    pub(super) fn replace(&self, all: Vec<Revocation>) {
        let mut fresh: [Shard; SHARDS] = std::array::from_fn(|_| Shard::default());
        for Revocation { entry, until } in all {
            fresh[place(entry.id())].insert(entry, until);
        }
        for (shard, fresh) in self.shards.iter().zip(fresh) {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            self.entries.fetch_add(fresh.len(), Ordering::Release);
            let old = mem::replace(&mut *shard, fresh);
            self.entries.fetch_sub(old.len(), Ordering::Release);
        }
    }

    /// Forgets, in the shard of this number, what no good token can meet any more.
    pub(super) fn prune(&self, number: usize, now: Timestamp) {
        let shard = &self.shards[number % SHARDS];
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let before = shard.len();
        let holds = |until: Timestamp| now < until + Verifier::LEEWAY;
        shard.sessions.retain(|_, until| holds(*until));
        shard.accounts.retain(|_, stale| holds(stale.until));
        self.entries.fetch_sub(before - shard.len(), Ordering::Release);
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.load(Ordering::Acquire)
    }

    fn read(&self, id: &str) -> RwLockReadGuard<'_, Shard> {
        // Each change of a shard is one call on a map: a panic leaves nothing half done.
        self.shards[place(id)].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, id: &str) -> RwLockWriteGuard<'_, Shard> {
        self.shards[place(id)].write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn len(&self) -> usize {
        self.sessions.len() + self.accounts.len()
    }

    fn insert(&mut self, entry: Entry, until: Timestamp) {
        match entry {
            Entry::Session { session_id } => {
                let known = self.sessions.entry(session_id.into()).or_insert(until);
                *known = until.max(*known);
            }
            Entry::Account { user_id, roles_version: version } => {
                let known = self.accounts.entry(user_id.into()).or_insert(Stale { version, until });
                if known.version <= version {
                    *known = Stale { version, until: until.max(known.until) };
                }
            }
        }
    }
}

/// Which shard an id belongs to.
fn place(id: &str) -> usize {
    let tail = id.bytes().rev().take(4);
    tail.fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % SHARDS
}

impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoked").field("entries", &self.len()).finish_non_exhaustive()
    }
}

/// How many rounds of [`Revoked::prune`] look at everything.
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::guard::Kind;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn caller(session: &str, version: u32) -> Identity {
        Identity { roles_version: version, ..Identity::new("ada", session, Kind::User) }
    }

    fn session(id: &str, seconds: u64) -> Revocation {
        Revocation {
            entry: Entry::Session { session_id: id.into() },
            until: NOW + Duration::from_secs(seconds),
        }
    }

    fn account(version: u32, seconds: u64) -> Revocation {
        Revocation {
            entry: Entry::Account { user_id: "ada".into(), roles_version: version },
            until: NOW + Duration::from_secs(seconds),
        }
    }

    fn prune_all(revoked: &Revoked, after: Duration) {
        (0..SHARDS).for_each(|number| revoked.prune(number, NOW + after));
    }

    #[test]
    fn a_session_or_an_older_version_is_known() {
        let revoked = Revoked::default();
        assert_eq!(revoked.judge(&caller("s1", 0)), Verdict::Good);
        revoked.add(session("s1", 60));
        revoked.add(account(2, 60));
        assert_eq!(revoked.judge(&caller("s1", 9)), Verdict::Revoked);
        assert_eq!(revoked.judge(&caller("s2", 1)), Verdict::Stale);
        assert_eq!(revoked.judge(&caller("s2", 2)), Verdict::Good);
        // Learnt out of order: the greater version stands.
        revoked.add(account(1, 90));
        assert_eq!(revoked.judge(&caller("s2", 1)), Verdict::Stale);
        assert_eq!(revoked.len(), 2);
    }

    #[test]
    fn a_snapshot_takes_the_place_of_what_was_known() {
        let revoked = Revoked::default();
        revoked.add(session("s1", 60));
        revoked.replace(vec![session("s2", 60), session("s3", 60), session("s3", 60)]);
        assert_eq!(revoked.judge(&caller("s1", 0)), Verdict::Good);
        assert_eq!(revoked.judge(&caller("s2", 0)), Verdict::Revoked);
        assert_eq!(revoked.len(), 2);
    }

    #[test]
    fn what_no_good_token_can_meet_is_forgotten_and_nothing_before() {
        let revoked = Revoked::default();
        revoked.add(session("s1", 60));
        revoked.add(account(1, 61));
        let end = Duration::from_secs(60) + Verifier::LEEWAY;
        prune_all(&revoked, end - Duration::from_millis(1));
        assert_eq!(revoked.len(), 2);
        prune_all(&revoked, end);
        assert_eq!(revoked.len(), 1);
        prune_all(&revoked, end + Duration::from_secs(1));
        assert_eq!(revoked.len(), 0);
    }
}
