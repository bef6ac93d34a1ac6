//! Tokens that need not be verified again.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use token::{TokenDigest, clock::Timestamp};

use super::caller::Caller;

/// Remembers who a good token speaks for, until it runs out or the keys change.
///
/// Only a token whose signature held is ever put in, so that any number of forged ones displaces
/// none. It is bounded: a token's digest says in which bucket it is kept, and where that is full, what
/// was not used for the longest time goes. So what comes takes the place of one that goes, in the
/// allocator too, and calls on different cores seldom meet.
pub(super) struct Verified {
    buckets: Box<[Mutex<Bucket>]>,
}

/// A few tokens, and what was asked of them. Counted here, where a lock is held anyway: one count for
/// all would be what calls on different cores meet at.
#[derive(Default)]
struct Bucket {
    /// The one that was used last first.
    tokens: Vec<(TokenDigest, Known)>,
    found: u64,
    inserted: u64,
}

struct Known {
    caller: Caller,
    /// The keys that it was verified by. With other keys it is verified again: its own may be gone.
    keys: u64,
    until: Timestamp,
}

impl Verified {
    /// Room for `tokens`, or a few more. Buckets do not fill evenly: some tokens go before all of it is
    /// taken.
    pub(super) fn new(tokens: usize) -> Self {
        Self { buckets: (0..tokens.div_ceil(TOKENS)).map(|_| Mutex::default()).collect() }
    }

    /// Another one with as much room.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.buckets.len() * TOKENS)
    }

    /// Who the token of this digest speaks for, if that is still true at `now` and by `keys`.
    pub(super) fn get(&self, token: &TokenDigest, keys: u64, now: Timestamp) -> Option<Caller> {
        let mut bucket = self.bucket(token)?;
        let at = bucket.tokens.iter().position(|(kept, _)| kept == token)?;
        let known = &bucket.tokens[at].1;
        if known.keys != keys || now >= known.until {
            bucket.tokens.remove(at);
            return None;
        }
        let caller = known.caller.clone();
        bucket.tokens[..=at].rotate_right(1);
        bucket.found += 1;
        Some(caller)
    }

    /// Notes that a token was verified by `keys` and is good until `until`.
    pub(super) fn insert(&self, token: TokenDigest, caller: Caller, keys: u64, until: Timestamp) {
        let Some(mut bucket) = self.bucket(&token) else { return };
        // Of two calls that have verified the same token at once, the second says it again.
        bucket.tokens.retain(|(kept, _)| *kept != token);
        bucket.tokens.truncate(TOKENS - 1);
        bucket.tokens.insert(0, (token, Known { caller, keys, until }));
        bucket.inserted += 1;
    }

    /// How often a token was known, and how often one was verified.
    pub(super) fn counted(&self) -> (u64, u64) {
        self.buckets.iter().map(locked).fold((0, 0), |(found, inserted), bucket| {
            (found + bucket.found, inserted + bucket.inserted)
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.lock().unwrap().tokens.len()).sum()
    }

    /// `None` if there is room for nothing.
    fn bucket(&self, token: &TokenDigest) -> Option<MutexGuard<'_, Bucket>> {
        let at = token.number().checked_rem(self.buckets.len())?;
        Some(locked(&self.buckets[at]))
    }
}

fn locked(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    // No panic leaves a bucket halfway: what is in it is true.
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("buckets", &self.buckets.len()).finish_non_exhaustive()
    }
}

/// How many tokens are in a bucket: with fewer, more go too early; with more, it takes longer to look
/// through them.
const TOKENS: usize = 8;

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
        let verified = Verified::new(16 * TOKENS);
        verified.insert(token(0), caller(0), 1, until(10));
        for n in 1..=1000 {
            verified.insert(token(n), caller(n), 1, until(10));
            assert_eq!(verified.get(&token(0), 1, NOW), Some(caller(0)), "after {n}");
        }
        assert_eq!(verified.len(), 16 * TOKENS, "a thousand fill every bucket");
        assert_eq!(verified.get(&token(1000), 1, NOW), Some(caller(1000)));
        assert_eq!(verified.get(&token(1), 1, NOW), None);
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes() {
        let verified = Verified::new(1);
        for n in 0..2 * TOKENS {
            verified.insert(token(n), caller(n), 1, until(10));
        }
        assert_eq!(verified.len(), TOKENS);
        for n in 0..TOKENS {
            assert_eq!(verified.get(&token(n), 1, NOW), None);
        }
        for n in TOKENS..2 * TOKENS {
            assert_eq!(verified.get(&token(n), 1, NOW), Some(caller(n)));
        }
    }

    #[test]
    fn with_room_for_none_nothing_is_kept() {
        let verified = Verified::new(0);
        verified.insert(token(1), caller(1), 1, until(10));
        assert_eq!(verified.get(&token(1), 1, NOW), None);
    }
}
