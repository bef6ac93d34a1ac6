//! The table: each rule says when it applies, and what is to be done then.

use std::time::Duration;

use token::{Nonce, clock::Timestamp};

use super::{Attempt, Decision, Head, Policy, Presented, REMEMBERED, Row};

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The session was revoked, or its user disabled.
    Revoked,
    /// The session has ended by its own time.
    Ended,
    /// The current token.
    Current,
    /// The same attempt again: its answer was lost, however long ago.
    SameAttempt,
    /// The row is older than a token that this service signed.
    NewerThanRow,
    /// A client without keys repeats itself.
    PlainRetry,
    /// A late copy of an attempt that won.
    LateCopy,
    /// A client that was told so, read its store again and still holds this token.
    AfterSuperseded,
    /// A recent token that is not in its place among the remembered nonces: the row adopted a newer
    /// one, and cannot tell who spent this one.
    Forgotten,
    /// A late copy, or a rival that shares the store.
    Rival,
    /// A spent token came back.
    Spent,
}

/// A token and the row that it is judged against.
pub(super) struct Case<'a> {
    pub(super) presented: &'a Presented<'a>,
    pub(super) row: &'a Row,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
}

impl Case<'_> {
    /// Whether the token is the one before the newest.
    fn is_parent(&self) -> bool {
        self.presented.generation + 1 == self.row.generation
            && self.row.nonces.parent() == Some(self.presented.nonce)
    }

    /// Whether the token is an older one that a row which saw every rotation would remember, and
    /// this row does not.
    fn is_forgotten(&self) -> bool {
        let age = self.row.generation.saturating_sub(self.presented.generation);
        let place = usize::try_from(age).unwrap_or(REMEMBERED);
        (1..REMEMBERED).contains(&place)
            && self.row.nonces.iter().nth(place) != Some(&self.presented.nonce)
    }

    /// Whether the attempt has a key that gives `generation` one of `nonces`.
    fn derives(&self, generation: u64, mut nonces: impl Iterator<Item = Nonce>) -> bool {
        match self.presented.attempt {
            Attempt::Keyed(successors) => {
                let derived: Vec<Nonce> = successors.nonces(generation).collect();
                nonces.any(|nonce| derived.contains(&nonce))
            }
            Attempt::Keyless { .. } => false,
        }
    }

    fn is_keyed(&self) -> bool {
        matches!(self.presented.attempt, Attempt::Keyed(_))
    }

    fn since_rotation(&self) -> Duration {
        self.now.saturating_since(self.row.rotated_at)
    }
}

impl Rule {
    /// In the order in which they are asked.
    pub(super) const TABLE: [Self; 11] = [
        Self::Revoked,
        Self::Ended,
        Self::Current,
        Self::SameAttempt,
        Self::NewerThanRow,
        Self::PlainRetry,
        Self::LateCopy,
        Self::AfterSuperseded,
        Self::Forgotten,
        Self::Rival,
        Self::Spent,
    ];

    /// What is to be done, if the rule applies.
    pub(super) fn judge(self, case: &Case<'_>) -> Option<Decision> {
        let Case { presented, row, policy, now } = *case;
        let head = row.head();
        let (applies, decision) = match self {
            Self::Revoked => (row.revoked, Decision::Revoked),
            Self::Ended => {
                // An older row must not end a session earlier than a token has promised.
                let idle_until = row.idle_until.max(presented.idle_until(policy));
                let ends = idle_until.min(row.absolute_until).min(presented.expires_at);
                (now >= ends, Decision::Expired)
            }
            Self::Current => {
                let current = Head::new(presented.generation, presented.nonce) == head;
                (current, Decision::Rotate(presented.successor()))
            }
            Self::SameAttempt => {
                let newest = std::iter::once(head.nonce);
                let same = case.is_parent() && case.derives(head.generation, newest);
                (same, Decision::Repeat)
            }
            Self::NewerThanRow => {
                let successor = presented.successor();
                let decision = if policy.adopt {
                    Decision::Adopt { behind: head, successor }
                } else {
                    Decision::Unknown
                };
                (presented.generation > head.generation, decision)
            }
            Self::PlainRetry => {
                let plain = !case.is_keyed() && !row.last_keyed && case.is_parent();
                (plain && case.since_rotation() < policy.reuse_grace, Decision::Repeat)
            }
            Self::LateCopy => {
                let won = presented.generation < head.generation
                    && case.derives(presented.generation + 1, row.nonces.iter().copied());
                (won, Decision::Superseded)
            }
            Self::AfterSuperseded => (presented.after_superseded, Decision::Reused { seen: head }),
            Self::Forgotten => (case.is_keyed() && case.is_forgotten(), Decision::Superseded),
            Self::Rival => {
                let recent = case.since_rotation() < policy.rival_window;
                (case.is_keyed() && recent, Decision::Superseded)
            }
            Self::Spent => (true, Decision::Reused { seen: head }),
        };
        applies.then_some(decision)
    }
}
