//! What storage counts, so that all instances together refuse what is too much.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use sqlx::{Database, Encode, Type};
use token::clock::Timestamp;

use crate::{
    domain::{
        audit::AuditEvent,
        guessing::Guesses,
        pace::{Pace, Subject},
    },
    storage::{
        error::StoreError,
        rows::{Query, encode_count},
    },
};

/// Attempts to log in, and how fast things happen. The rules are those of
/// [`Guesses`] and [`Pace`]; the clock is the store's.
#[async_trait]
pub(crate) trait LimitStore: fmt::Debug + Send + Sync {
    /// Counts an attempt under a name, and at an address if that is limited, before it is made: as
    /// one that failed, until it is forgiven. What is refused is not counted. An address is asked
    /// first, so that it cannot fill the table with names.
    async fn begin_attempt(
        &self,
        name: Subject,
        address: Option<(Subject, Pace)>,
    ) -> Result<Begun, StoreError>;

    /// Forgives an attempt that proved its password, and those under its name that came before it.
    async fn forgive(&self, attempt: &Attempt) -> Result<(), StoreError>;

    /// Forgives all attempts under a name. `false`, and nothing done, if none counts.
    async fn unlock(&self, name: Subject, event: &AuditEvent) -> Result<bool, StoreError>;

    /// Counts one of each of these, or none, if there is no room for one of them: how long until
    /// there is.
    async fn take(&self, paces: &[(Subject, Pace)]) -> Result<Option<Duration>, StoreError>;

    /// Removes up to `limit` rows of each kind that say nothing any more, and tells how many.
    async fn remove_spent_counts(&self, limit: u32) -> Result<u64, StoreError>;
}

/// What came of counting an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It may be made.
    Attempt(Attempt),
    /// The name is locked for so long.
    Locked(Duration),
    /// Too many attempts failed at the address; there is room for another one in so long.
    TooMany(Duration),
}

/// An attempt that was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) name: Subject,
    pub(crate) address: Option<(Subject, Pace)>,
    pub(crate) number: u64,
    /// Whether it locks the name, unless it is forgiven.
    pub(crate) locks: bool,
}

/// The order in which rows are locked.
#[must_use]
pub(super) fn in_order(paces: &[(Subject, Pace)]) -> Vec<(Subject, Pace)> {
    let mut paces = paces.to_vec();
    paces.sort_unstable_by_key(|(subject, _)| *subject);
    paces
}

/// Keeps when what was taken of a pace is made up for.
pub(super) fn set_due<DB>(subject: Subject, due: Timestamp) -> Query<DB>
where
    DB: Database,
    for<'q> &'q [u8]: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    sqlx::query(
        "INSERT INTO paces (subject, due) VALUES ($1, $2)
         ON CONFLICT (subject) DO UPDATE SET due = excluded.due",
    )
    .bind(subject.0.as_slice())
    .bind(due.unix_millis())
}

/// Keeps what is known of the attempts under a name.
pub(super) fn set_guesses<DB>(name: Subject, guesses: &Guesses) -> Query<DB>
where
    DB: Database,
    for<'q> &'q [u8]: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    sqlx::query(
        "INSERT INTO guesses (subject, attempts, forgiven, last_attempt, locked_until)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (subject) DO UPDATE
         SET attempts = excluded.attempts, forgiven = excluded.forgiven,
             last_attempt = excluded.last_attempt, locked_until = excluded.locked_until",
    )
    .bind(name.0.as_slice())
    .bind(encode_count(guesses.attempts))
    .bind(encode_count(guesses.forgiven))
    .bind(guesses.last_attempt.unix_millis())
    .bind(guesses.locked_until.unix_millis())
}
