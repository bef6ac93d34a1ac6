//! An access token as the hot path uses it.

use std::{fmt, sync::atomic::Ordering::Relaxed, time::Duration};

use bytes::Bytes;
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use token::entropy::Entropy;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{TokenPair, sync::AtomicBool};

/// One access token, encoded once for all the calls that carry it.
pub(crate) struct Token {
    /// Counts the session's tokens. Says which of two is newer.
    pub(crate) generation: u64,
    pub(crate) session_id: String,
    pub(crate) header: HeaderValue,
    pub(crate) secret: SecretString,
    life: Option<Life>,
    /// A server has taken it.
    accepted: AtomicBool,
    /// A server has refused it.
    refused: AtomicBool,
}

#[derive(Clone, Copy)]
struct Life {
    refresh_at: Instant,
    ends: Instant,
    /// Reckoned from a wall clock of an earlier run, which may have been wrong.
    hint: bool,
}

/// How much of its life a token has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// Good, and due for renewal.
    Due,
    RunOut,
    /// Run out, if the wall clock is right.
    LooksRunOut,
    /// There has been none yet.
    Missing,
}

impl Token {
    /// The token of `pair`, which was received `age` ago.
    pub(crate) fn new(
        generation: u64,
        pair: &TokenPair,
        age: Age,
        now: Instant,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            generation,
            session_id: pair.session_id.clone(),
            header: bearer(&pair.access_token),
            secret: pair.access_token.clone(),
            life: pair.access_expires_in.map(|life| Life::new(life, pair, age, now, entropy)),
            accepted: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        }
    }

    pub(crate) fn freshness(&self, now: Instant) -> Freshness {
        match self.life {
            _ if self.is_missing() => Freshness::Missing,
            None => Freshness::Fresh,
            Some(life) if now < life.refresh_at => Freshness::Fresh,
            Some(life) if now < life.ends => Freshness::Due,
            Some(life) if life.hint => Freshness::LooksRunOut,
            Some(_) => Freshness::RunOut,
        }
    }

    /// Whether it stands for a token that is yet to be asked for.
    pub(crate) fn is_missing(&self) -> bool {
        self.secret.expose_secret().is_empty()
    }

    /// Notes that a server took the token. Written once, so that busy calls do not fight over the
    /// cache line.
    pub(crate) fn accept(&self) {
        if !self.accepted.load(Relaxed) {
            self.accepted.store(true, Relaxed);
        }
    }

    pub(crate) fn was_accepted(&self) -> bool {
        self.accepted.load(Relaxed)
    }

    pub(crate) fn refuse(&self) {
        self.refused.store(true, Relaxed);
    }

    pub(crate) fn was_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// Whether a call made with `self` may be sent again with `other`: never as somebody else.
    pub(crate) fn same_session(&self, other: &Self) -> bool {
        self.session_id == other.session_id
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation)
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

/// How long ago a pair was received.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Age {
    Now,
    /// By the wall clock.
    Hint(Duration),
}

impl Life {
    fn new(
        life: Duration,
        pair: &TokenPair,
        age: Age,
        now: Instant,
        entropy: &dyn Entropy,
    ) -> Self {
        // A server's own `refresh_after` is already jittered.
        let after = pair.refresh_after.unwrap_or_else(|| life.mul_f64(0.75 + 0.1 * entropy.unit()));
        let after = after.min(life);
        match age {
            Age::Now => Self { refresh_at: at(now, after), ends: at(now, life), hint: false },
            Age::Hint(age) => Self {
                refresh_at: at(now, after.saturating_sub(age)),
                ends: at(now, life.saturating_sub(age)),
                hint: true,
            },
        }
    }
}

/// `now + life`, or the far future where that cannot be said.
fn at(now: Instant, life: Duration) -> Instant {
    now.checked_add(life).unwrap_or_else(|| now + FAR)
}

const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// `Bearer <token>` in memory that is wiped when the last request that carries it is gone. A token
/// that cannot stand in a header becomes an empty value, which every server refuses.
fn bearer(token: &SecretString) -> HeaderValue {
    let token = token.expose_secret();
    let mut text = Zeroizing::new(Vec::with_capacity(7 + token.len()));
    text.extend_from_slice(b"Bearer ");
    text.extend_from_slice(token.as_bytes());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use token::entropy::SeededEntropy;

    use super::*;

    const LIFE: Duration = Duration::from_secs(100);

    fn token(age: Age, now: Instant) -> Token {
        let pair = TokenPair::new("a").access_expires_in(LIFE);
        Token::new(1, &pair, age, now, &SeededEntropy::new(1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_due_at_about_four_fifths_of_its_life() {
        let now = Instant::now();
        let token = token(Age::Now, now);
        let after = |s| token.freshness(now + Duration::from_secs(s));
        assert_eq!(after(74), Freshness::Fresh);
        assert_eq!(after(86), Freshness::Due);
        assert_eq!(after(100), Freshness::RunOut);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_is_only_a_hint() {
        let now = Instant::now();
        assert_eq!(token(Age::Hint(LIFE), now).freshness(now), Freshness::LooksRunOut);
        assert_eq!(token(Age::Hint(LIFE / 2), now).freshness(now), Freshness::Fresh);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_there_is_not_is_missing_whatever_its_life() {
        let now = Instant::now();
        let pair = TokenPair::new("").access_expires_in(LIFE);
        let token = Token::new(1, &pair, Age::Now, now, &SeededEntropy::new(1));
        assert_eq!(token.freshness(now), Freshness::Missing);
    }

    #[test]
    fn the_header_is_sensitive() {
        let header = bearer(&SecretString::from("abc"));
        assert_eq!(header.as_bytes(), b"Bearer abc");
        assert!(header.is_sensitive() && !format!("{header:?}").contains("abc"));
    }
}
