//! What is counted.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use token::clock::Timestamp;

use crate::{
    domain::{
        audit::AuditEvent,
        guessing::{Counted, FORGOTTEN_AFTER, Guesses},
        pace::{Pace, Subject},
    },
    storage::{
        error::StoreError,
        limits::{Attempt, Begun, LimitStore, in_order, set_due, set_guesses},
        rows::{GuessesRow, decode_guesses},
        sqlite::{SqliteStore, audit, writer::begin},
    },
};

#[async_trait]
impl LimitStore for SqliteStore {
    async fn begin_attempt(
        &self,
        name: Subject,
        address: Option<(Subject, Pace)>,
    ) -> Result<Begun, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let now = self.clock.now();
        if let Some((subject, pace)) = address
            && let Some(left) = take(&mut tx, subject, pace, now).await?
        {
            return Ok(Begun::TooMany(left));
        }
        match guesses(&mut tx, name).await?.unwrap_or_default().count(now) {
            Counted::Locked(left) => Ok(Begun::Locked(left)),
            Counted::Attempt { guesses, locks } => {
                set_guesses(name, &guesses).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok(Begun::Attempt(Attempt { name, address, number: guesses.attempts, locks }))
            }
        }
    }

    async fn forgive(&self, attempt: &Attempt) -> Result<(), StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        if let Some((subject, pace)) = attempt.address
            && let Some(due) = due(&mut tx, subject).await?
        {
            set_due(subject, pace.give_back(due)).execute(&mut *tx).await?;
        }
        if let Some(guesses) = guesses(&mut tx, attempt.name).await? {
            set_guesses(attempt.name, &guesses.forgive(attempt.number)).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn unlock(&self, name: Subject, event: &AuditEvent) -> Result<bool, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let Some(guesses) = guesses(&mut tx, name).await?.filter(Guesses::counts) else {
            return Ok(false);
        };
        set_guesses(name, &guesses.unlock()).execute(&mut *tx).await?;
        audit::insert(&mut tx, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn take(&self, paces: &[(Subject, Pace)]) -> Result<Option<Duration>, StoreError> {
        let mut writer = self.writer.turn().await?;
        let mut tx = begin(&mut writer).await?;
        let now = self.clock.now();
        for (subject, pace) in in_order(paces) {
            if let Some(left) = take(&mut tx, subject, pace, now).await? {
                return Ok(Some(left));
            }
        }
        tx.commit().await?;
        Ok(None)
    }

    async fn remove_spent_counts(&self, limit: u32) -> Result<u64, StoreError> {
        let mut writer = self.writer.turn().await?;
        let now = self.clock.now();
        let mut removed = 0;
        for (statement, before) in [
            (
                "DELETE FROM guesses WHERE subject IN
                     (SELECT subject FROM guesses WHERE last_attempt < $1
                      ORDER BY last_attempt LIMIT $2)",
                now - FORGOTTEN_AFTER,
            ),
            (
                "DELETE FROM paces WHERE subject IN
                     (SELECT subject FROM paces WHERE due < $1 ORDER BY due LIMIT $2)",
                now,
            ),
        ] {
            let query = sqlx::query(statement).bind(before.unix_millis()).bind(limit);
            removed += query.execute(&mut *writer).await?.rows_affected();
        }
        Ok(removed)
    }
}

async fn take(
    connection: &mut SqliteConnection,
    subject: Subject,
    pace: Pace,
    now: Timestamp,
) -> Result<Option<Duration>, StoreError> {
    match pace.take(due(connection, subject).await?.unwrap_or_default(), now) {
        Ok(due) => {
            set_due(subject, due).execute(connection).await?;
            Ok(None)
        }
        Err(left) => Ok(Some(left)),
    }
}

async fn due(
    connection: &mut SqliteConnection,
    subject: Subject,
) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = sqlx::query_scalar("SELECT due FROM paces WHERE subject = $1")
        .bind(subject.0.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(due.map(Timestamp::from_unix_millis))
}

async fn guesses(
    connection: &mut SqliteConnection,
    name: Subject,
) -> Result<Option<Guesses>, StoreError> {
    let row: Option<GuessesRow> = sqlx::query_as(
        "SELECT attempts, forgiven, last_attempt, locked_until FROM guesses WHERE subject = $1",
    )
    .bind(name.0.as_slice())
    .fetch_optional(connection)
    .await?;
    row.map(decode_guesses).transpose()
}
