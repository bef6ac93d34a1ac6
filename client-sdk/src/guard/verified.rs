//! Tokens that need not be verified again.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use token::{TokenDigest, clock::Timestamp};

use super::caller::Caller;

/// Remembers who a good token speaks for, until it runs out or the keys change.
///
/// Only a token whose signature held is ever put in, so that any number of forged ones displaces
/// none. It is bounded: where it is full, what was not used for the longest time goes.
pub(super) struct Verified {
    /// Picked by the digest, so that calls on different cores seldom meet.
    shards: Box<[Mutex<Shard>]>,
    per_shard: usize,
}

/// Two maps instead of an order of use: what is used moves to the fresh one, and when that is full
/// the other one is forgotten as a whole, which costs nothing for each token.
#[derive(Default)]
struct Shard {
    fresh: HashMap<TokenDigest, Known>,
    stale: HashMap<TokenDigest, Known>,
}

struct Known {
    caller: Caller,
    /// The keys that it was verified by. With other keys it is verified again: its own may be gone.
    keys: u64,
    until: Timestamp,
}

impl Verified {
    /// Room for `tokens`, and for half of them at the least.
    pub(super) fn new(tokens: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, per_shard: tokens.div_ceil(SHARDS) }
    }

    /// Another one with as much room.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.per_shard * SHARDS)
    }

    /// Who the token of this digest speaks for, if that is still true at `now` and by `keys`.
    pub(super) fn get(&self, token: &TokenDigest, keys: u64, now: Timestamp) -> Option<Caller> {
        let mut shard = self.shard(token);
        if let Some(known) = shard.fresh.get(token) {
            if known.holds(keys, now) {
                return Some(known.caller.clone());
            }
            shard.fresh.remove(token);
            return None;
        }
        let known = shard.stale.remove(token).filter(|known| known.holds(keys, now))?;
        let caller = known.caller.clone();
        shard.keep(*token, known, self.per_shard);
        Some(caller)
    }

    /// Notes that a token was verified by `keys` and is good until `until`.
    pub(super) fn insert(&self, token: TokenDigest, caller: Caller, keys: u64, until: Timestamp) {
        if self.per_shard > 0 {
            let known = Known { caller, keys, until };
            self.shard(&token).keep(token, known, self.per_shard);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let len = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.fresh.len() + shard.stale.len()
        };
        self.shards.iter().map(len).sum()
    }

    fn shard(&self, token: &TokenDigest) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(token.first_byte()) % SHARDS];
        // A panic between two changes of a shard loses what is remembered, and nothing else.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn keep(&mut self, token: TokenDigest, known: Known, most: usize) {
        if self.fresh.len() >= most.div_ceil(2) && !self.fresh.contains_key(&token) {
            // The map is emptied and not dropped: its room serves the next ones.
            mem::swap(&mut self.fresh, &mut self.stale);
            self.fresh.clear();
        }
        self.stale.remove(&token);
        self.fresh.insert(token, known);
    }
}

impl Known {
    fn holds(&self, keys: u64, now: Timestamp) -> bool {
        self.keys == keys && now < self.until
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("per_shard", &self.per_shard).finish_non_exhaustive()
    }
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::guard::{Identity, Kind};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn token(n: usize) -> TokenDigest {
        TokenDigest::of(&n.to_string())
    }

    fn caller(n: usize) -> Caller {
        Identity::new(n.to_string(), "s", Kind::User).into()
    }

    fn until(n: usize) -> Timestamp {
        NOW + Duration::from_secs(n as u64)
    }

    #[test]
    fn a_token_is_known_until_it_runs_out_or_the_keys_change() {
        let verified = Verified::new(100);
        verified.insert(token(1), caller(1), 1, until(10));
        assert_eq!(verified.get(&token(1), 1, until(9)), Some(caller(1)));
        assert_eq!(verified.get(&token(2), 1, NOW), None);
        assert_eq!(verified.get(&token(1), 1, until(10)), None);
        verified.insert(token(1), caller(1), 1, until(10));
        assert_eq!(verified.get(&token(1), 2, NOW), None);
        assert_eq!(verified.len(), 0, "what is outdated is not kept");
    }

    #[test]
    fn it_is_bounded_and_what_is_used_stays() {
        let verified = Verified::new(SHARDS * 8);
        verified.insert(token(0), caller(0), 1, until(10));
        for n in 1..=1000 {
            verified.insert(token(n), caller(n), 1, until(10));
            assert_eq!(verified.get(&token(0), 1, NOW), Some(caller(0)), "after {n}");
            assert!(verified.len() <= SHARDS * 8);
        }
        assert!(verified.len() >= SHARDS * 4);
        assert_eq!(verified.get(&token(1000), 1, NOW), Some(caller(1000)));
        assert_eq!(verified.get(&token(1), 1, NOW), None);
    }

    #[test]
    fn what_has_run_out_is_not_carried_on() {
        let verified = Verified::new(2 * SHARDS);
        verified.insert(token(1), caller(1), 1, until(1));
        for n in 2..200 {
            verified.insert(token(n), caller(n), 1, until(1_000));
        }
        assert_eq!(verified.get(&token(1), 1, NOW), None);
        assert!(verified.len() <= 2 * SHARDS);
    }

    #[test]
    fn with_room_for_none_nothing_is_kept() {
        let verified = Verified::new(0);
        verified.insert(token(1), caller(1), 1, until(10));
        assert_eq!(verified.get(&token(1), 1, NOW), None);
    }
}
