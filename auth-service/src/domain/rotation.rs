//! What a presented refresh token is worth: the one decision on which "nobody honest is logged out,
//! every stolen token is caught" rests.
//!
//! [`decide`] is pure. The service, the property tests and the model checker call this very
//! function; `docs/PROTOCOL.md` argues why its table is right.

use std::time::Duration;

use token::{Nonce, clock::Timestamp};

use self::table::{Case, Rule};

mod table;

/// How many nonces of a session are remembered, the newest included: how far back a late copy of an
/// attempt that won is recognised for what it is.
pub const REMEMBERED: usize = 8;

/// What an operator decides about rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How long a session lives that nobody refreshes.
    pub idle_life: Duration,
    /// How long a client that names no attempt may repeat itself; zero forbids it.
    pub reuse_grace: Duration,
    /// How long after a rotation another keyed attempt on the spent token is taken for a rival that
    /// shares the store. Must exceed the life of a request plus the difference between clocks.
    pub rival_window: Duration,
    /// Whether a genuine token that is newer than its row proves that the row is old.
    pub adopt: bool,
}

impl Policy {
    /// A policy of these settings.
    #[must_use]
    pub const fn new(
        idle_life: Duration,
        reuse_grace: Duration,
        rival_window: Duration,
        adopt: bool,
    ) -> Self {
        Self { idle_life, reuse_grace, rival_window, adopt }
    }
}

/// A genuine refresh token, and the attempt that presents it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Presented<'a> {
    /// The token's generation.
    pub generation: u64,
    /// The token's nonce.
    pub nonce: Nonce,
    /// When it was minted.
    pub issued_at: Timestamp,
    /// When its holder last proved a password.
    pub auth_time: Timestamp,
    /// The absolute end of its session.
    pub expires_at: Timestamp,
    /// How the attempt is named.
    pub attempt: Attempt<'a>,
    /// Whether the client says that it was told [`Decision::Superseded`], read its store again
    /// under the store's lock, and still holds this token.
    pub after_superseded: bool,
}

impl<'a> Presented<'a> {
    /// A token with these claims, presented by `attempt`.
    #[must_use]
    pub fn new(
        claims: &token::RefreshClaims,
        attempt: Attempt<'a>,
        after_superseded: bool,
    ) -> Self {
        Self {
            generation: claims.generation,
            nonce: claims.nonce,
            issued_at: claims.issued_at,
            auth_time: claims.auth_time,
            expires_at: claims.expires_at,
            attempt,
            after_superseded,
        }
    }

    /// The successor that this attempt makes, whatever the row says.
    #[must_use]
    pub fn successor(&self) -> Successor {
        let nonce = match self.attempt {
            Attempt::Keyed(successors) => successors
                .nonces(self.generation + 1)
                .next()
                .expect("a key ring holds at least one key"),
            Attempt::Keyless { fresh } => fresh,
        };
        Successor {
            generation: self.generation + 1,
            nonce,
            keyed: matches!(self.attempt, Attempt::Keyed(_)),
        }
    }

    /// When the session ends if nobody refreshes it, as this token promised its holder.
    #[must_use]
    pub fn idle_until(&self, policy: &Policy) -> Timestamp {
        self.issued_at + policy.idle_life
    }
}

/// Derives the nonces of an attempt's successors. For one key and generation they are always the
/// same; without the key they cannot be guessed.
pub trait Successors: std::fmt::Debug + Sync {
    /// The nonce that the attempt gives to `generation`, under each live key: the first is used for
    /// new successors, any of them recognises an old one.
    fn nonces(&self, generation: u64) -> Box<dyn Iterator<Item = Nonce> + '_>;
}

/// How an attempt is named.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "an attempt has a key or has none")]
pub enum Attempt<'a> {
    /// By its idempotency key.
    Keyed(&'a dyn Successors),
    /// Not at all; its successor would have this random nonce.
    Keyless {
        /// Drawn for this request.
        fresh: Nonce,
    },
}

/// The token that a rotation makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Successor {
    /// One more than its predecessor's.
    pub generation: u64,
    /// Its nonce.
    pub nonce: Nonce,
    /// Whether the attempt that made it had a key.
    pub keyed: bool,
}

#[cfg(test)]
impl Successor {
    pub(crate) const fn for_test(generation: u64, nonce: Nonce, keyed: bool) -> Self {
        Self { generation, nonce, keyed }
    }
}

/// What the database says of the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Row {
    /// How many rotations there have been.
    pub generation: u64,
    /// The nonces of the newest token and of up to seven before it, newest first.
    pub nonces: Recent,
    /// Whether the newest token was made by an attempt with a key.
    pub last_keyed: bool,
    /// When the newest token was made.
    pub rotated_at: Timestamp,
    /// When the session ends if nobody refreshes it.
    pub idle_until: Timestamp,
    /// When it ends in any case.
    pub absolute_until: Timestamp,
    /// Whether it has been ended: by logout, revocation, theft, or its user's being disabled.
    pub revoked: bool,
}

impl Row {
    /// The row of a session whose only token is this one.
    #[must_use]
    pub fn first(
        nonce: Nonce,
        rotated_at: Timestamp,
        idle_until: Timestamp,
        absolute_until: Timestamp,
    ) -> Self {
        Self {
            generation: 0,
            nonces: Recent::first(nonce),
            last_keyed: false,
            rotated_at,
            idle_until,
            absolute_until,
            revoked: false,
        }
    }

    /// The newest token's place in the chain: what a compare-and-set compares.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { generation: self.generation, nonce: self.nonces.newest() }
    }

    /// This row after the adoption of a newer token and a compare-and-set to its `successor`.
    #[must_use]
    pub fn adopted(
        mut self,
        presented: Nonce,
        successor: &Successor,
        now: Timestamp,
        policy: &Policy,
    ) -> Self {
        self.nonces.push(presented);
        self.rotated(successor, now, policy)
    }

    /// This row after a compare-and-set to `successor`.
    #[must_use]
    pub fn rotated(mut self, successor: &Successor, now: Timestamp, policy: &Policy) -> Self {
        self.nonces.push(successor.nonce);
        self.generation = successor.generation;
        self.last_keyed = successor.keyed;
        self.rotated_at = self.rotated_at.max(now);
        self.idle_until = now + policy.idle_life;
        self
    }
}

/// The newest token's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Head {
    /// Its generation.
    pub generation: u64,
    /// Its nonce.
    pub nonce: Nonce,
}

impl Head {
    /// The place of a token.
    #[must_use]
    pub const fn new(generation: u64, nonce: Nonce) -> Self {
        Self { generation, nonce }
    }
}

/// Up to [`REMEMBERED`] nonces, newest first; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recent(Vec<Nonce>);

impl Recent {
    /// Of a session that has not rotated.
    #[must_use]
    pub fn first(nonce: Nonce) -> Self {
        Self(vec![nonce])
    }

    /// From storage; `None` if there is none, or more than fit.
    #[must_use]
    pub fn from_nonces(nonces: Vec<Nonce>) -> Option<Self> {
        (1..=REMEMBERED).contains(&nonces.len()).then_some(Self(nonces))
    }

    /// Of the newest token.
    #[must_use]
    pub fn newest(&self) -> Nonce {
        self.0[0]
    }

    /// Of the token before the newest.
    #[must_use]
    pub fn parent(&self) -> Option<Nonce> {
        self.0.get(1).copied()
    }

    /// Newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Nonce> {
        self.0.iter()
    }

    fn push(&mut self, nonce: Nonce) {
        self.0.truncate(REMEMBERED - 1);
        self.0.insert(0, nonce);
    }
}

/// What to do about a presented token. Every change is a compare-and-set on the [`Head`] it was
/// decided on; if that has moved, decide anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// The current token: set the row to its successor.
    Rotate(Successor),
    /// The row is older than this genuine token: set the row to the token's successor.
    Adopt {
        /// What the row must still say.
        behind: Head,
        /// What it shall say.
        successor: Successor,
    },
    /// There is no row for this genuine token: create the row that this token belongs to, unless
    /// another request does first or its user is gone, and decide anew.
    Recreate,
    /// The same attempt again: answer the row's newest token; nothing changes.
    Repeat,
    /// Another attempt has spent the token, and this one may be honest; nothing changes.
    Superseded,
    /// A spent token came back: revoke the session.
    Reused {
        /// What the row must still say.
        seen: Head,
    },
    /// The session has ended by its own time.
    Expired,
    /// The session was revoked.
    Revoked,
    /// A genuine token of a session that this database never had, and it may not be adopted.
    Unknown,
}

/// Judges `presented` against the session's row at `now`: the first rule of the table that applies
/// decides.
#[must_use]
pub fn decide(
    presented: &Presented<'_>,
    row: Option<&Row>,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    decide_by(&Rule::TABLE, presented, row, policy, now)
        .expect("the last rule applies to every token")
}

/// The same by another table, so that a test can show what each rule is there for.
fn decide_by(
    table: &[Rule],
    presented: &Presented<'_>,
    row: Option<&Row>,
    policy: &Policy,
    now: Timestamp,
) -> Option<Decision> {
    let Some(row) = row else { return Some(decide_without_row(presented, policy, now)) };
    let case = Case { presented, row, policy, now };
    table.iter().find_map(|rule| rule.judge(&case))
}

fn decide_without_row(presented: &Presented<'_>, policy: &Policy, now: Timestamp) -> Decision {
    if now >= presented.expires_at || now >= presented.idle_until(policy) {
        Decision::Expired
    } else if policy.adopt {
        Decision::Recreate
    } else {
        Decision::Unknown
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
