//! Tokens that need not be verified again.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use token::{TokenDigest, clock::Timestamp};

use super::caller::Caller;

/// Remembers who a good token speaks for, until it runs out or the keys change.
///
/// Only a token whose signature held is ever put in, so that any number of forged ones displaces
/// none. It is bounded: where it is full, what would run out first goes.
pub(super) struct Verified {
    /// Picked by the digest, so that calls on different cores seldom meet.
    shards: Box<[Mutex<HashMap<TokenDigest, Known>>]>,
    per_shard: usize,
}

struct Known {
    caller: Caller,
    /// The keys that it was verified by. With other keys it is verified again: its own may be gone.
    keys: u64,
    until: Timestamp,
}

impl Verified {
    /// Room for about `tokens`.
    pub(super) fn new(tokens: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, per_shard: tokens.div_ceil(SHARDS) }
    }

    /// Who the token of this digest speaks for, if that is still true at `now` and by `keys`.
    pub(super) fn get(&self, token: &TokenDigest, keys: u64, now: Timestamp) -> Option<Caller> {
        let mut shard = self.shard(token);
        match shard.entry(*token) {
            Entry::Occupied(known) if known.get().holds(keys, now) => {
                Some(known.get().caller.clone())
            }
            Entry::Occupied(outdated) => {
                outdated.remove();
                None
            }
            Entry::Vacant(_) => None,
        }
    }

    /// Notes that a token was verified by `keys` and is good until `until`.
    pub(super) fn insert(
        &self,
        token: TokenDigest,
        caller: Caller,
        keys: u64,
        until: Timestamp,
        now: Timestamp,
    ) {
        if self.per_shard == 0 {
            return;
        }
        let mut shard = self.shard(&token);
        if shard.len() >= self.per_shard && !shard.contains_key(&token) {
            shard.retain(|_, known| known.holds(keys, now));
        }
        if shard.len() >= self.per_shard && !shard.contains_key(&token) {
            let soonest = shard.iter().min_by_key(|(_, known)| known.until).map(|(t, _)| *t);
            soonest.map(|token| shard.remove(&token));
        }
        shard.insert(token, Known { caller, keys, until });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    fn shard(&self, token: &TokenDigest) -> MutexGuard<'_, HashMap<TokenDigest, Known>> {
        let shard = &self.shards[usize::from(token.first_byte()) % SHARDS];
        // Each change of a map is one call: a panic leaves nothing half done.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
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
        verified.insert(token(1), caller(1), 1, until(10), NOW);
        assert_eq!(verified.get(&token(1), 1, until(9)), Some(caller(1)));
        assert_eq!(verified.get(&token(2), 1, NOW), None);
        assert_eq!(verified.get(&token(1), 1, until(10)), None);
        verified.insert(token(1), caller(1), 1, until(10), NOW);
        assert_eq!(verified.get(&token(1), 2, NOW), None);
        assert_eq!(verified.len(), 0, "what is outdated is not kept");
    }

    #[test]
    fn it_is_bounded_and_what_would_run_out_first_goes() {
        let verified = Verified::new(SHARDS * 4);
        for n in 1..=1000 {
            verified.insert(token(n), caller(n), 1, until(n), NOW);
        }
        assert_eq!(verified.len(), SHARDS * 4);
        assert_eq!(verified.get(&token(1000), 1, NOW), Some(caller(1000)));
        assert_eq!(verified.get(&token(1), 1, NOW), None);
    }

    #[test]
    fn what_has_run_out_makes_room_before_what_has_not() {
        let verified = Verified::new(SHARDS);
        verified.insert(token(1), caller(1), 1, until(1), NOW);
        for n in 2..200 {
            verified.insert(token(n), caller(n), 1, until(1_000), until(2));
        }
        assert!(verified.len() <= SHARDS);
        assert_eq!(verified.get(&token(1), 1, NOW), None);
    }

    #[test]
    fn with_room_for_none_nothing_is_kept() {
        let verified = Verified::new(0);
        verified.insert(token(1), caller(1), 1, until(10), NOW);
        assert_eq!(verified.get(&token(1), 1, NOW), None);
    }
}
