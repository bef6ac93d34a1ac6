//! What is counted.
//!
//! A row that is counted in is made if there is none, locked and read by one statement: what another
//! transaction counted meanwhile is seen, and the clock is read after the wait for it. Paces are locked
//! before names, and in order.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection};
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
        postgres::{PostgresStore, audit, retry::retrying},
        rows::{GuessesRow, decode_guesses, encode_duration},
    },
};

#[async_trait]
impl LimitStore for PostgresStore {
    async fn begin_attempt(
        &self,
        name: Subject,
        address: Option<(Subject, Pace)>,
    ) -> Result<Begun, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            if let Some((subject, pace)) = address
                && let Some(left) = self.take_one(&mut tx, subject, pace).await?
            {
                return Ok(Begun::TooMany(left));
            }
            let (row, now) = self.lock_guesses(&mut tx, name).await?;
            match row.count(now) {
                Counted::Locked(left) => Ok(Begun::Locked(left)),
                Counted::Attempt { guesses, locks } => {
                    set_guesses(name, &guesses).execute(&mut *tx).await?;
                    tx.commit().await?;
                    Ok(Begun::Attempt(Attempt { name, address, number: guesses.attempts, locks }))
                }
            }
        })
        .await
    }

    async fn forgive(&self, attempt: &Attempt) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            if let Some((subject, pace)) = attempt.address
                && let Some(due) = due(&mut tx, subject).await?
            {
                set_due(subject, pace.give_back(due)).execute(&mut *tx).await?;
            }
            if let Some(guesses) = guesses(&mut tx, attempt.name).await? {
                set_guesses(attempt.name, &guesses.forgive(attempt.number))
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn unlock(&self, name: Subject, event: &AuditEvent) -> Result<bool, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let Some(guesses) = guesses(&mut tx, name).await?.filter(Guesses::counts) else {
                return Ok(false);
            };
            set_guesses(name, &guesses.unlock()).execute(&mut *tx).await?;
            audit::insert(&mut tx, event).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn take(&self, paces: &[(Subject, Pace)]) -> Result<Option<Duration>, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            for (subject, pace) in in_order(paces) {
                if let Some(left) = self.take_one(&mut tx, subject, pace).await? {
                    return Ok(Some(left));
                }
            }
            tx.commit().await?;
            Ok(None)
        })
        .await
    }

    async fn remove_spent_counts(&self, limit: u32) -> Result<u64, StoreError> {
        retrying(&self.pool, async || {
            let mut connection = self.pool.acquire().await?;
            let now = self.now.read(&mut connection).await?;
            let mut removed = 0;
            // Who counts again meanwhile is waited for, and the row judged anew.
            for (statement, before) in [
                (
                    "DELETE FROM guesses WHERE last_attempt < $1 AND subject IN
                     (SELECT subject FROM guesses WHERE last_attempt < $1
                      ORDER BY last_attempt LIMIT $2)",
                    now.saturating_sub(encode_duration(FORGOTTEN_AFTER)),
                ),
                (
                    "DELETE FROM paces WHERE due < $1 AND subject IN
                     (SELECT subject FROM paces WHERE due < $1 ORDER BY due LIMIT $2)",
                    now,
                ),
            ] {
                let query = sqlx::query(statement).bind(before).bind(i64::from(limit));
                removed += query.execute(&mut *connection).await?.rows_affected();
            }
            Ok(removed)
        })
        .await
    }
}

impl PostgresStore {
    async fn take_one(
        &self,
        connection: &mut PgConnection,
        subject: Subject,
        pace: Pace,
    ) -> Result<Option<Duration>, StoreError> {
        let statement = self.now.within(
            "INSERT INTO paces (subject, due) VALUES ($1, 0)
             ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
             RETURNING due, {now}",
        );
        let query = sqlx::query_as(AssertSqlSafe(statement)).bind(subject.0.as_slice());
        let (due, now): (i64, i64) = query.fetch_one(&mut *connection).await?;
        let (due, now) = (Timestamp::from_unix_millis(due), Timestamp::from_unix_millis(now));
        match pace.take(due, now) {
            Ok(due) => {
                set_due(subject, due).execute(connection).await?;
                Ok(None)
            }
            Err(left) => Ok(Some(left)),
        }
    }

    async fn lock_guesses(
        &self,
        connection: &mut PgConnection,
        name: Subject,
    ) -> Result<(Guesses, Timestamp), StoreError> {
        let statement = self.now.within(
            "INSERT INTO guesses (subject, attempts, forgiven, last_attempt, locked_until)
             VALUES ($1, 0, 0, 0, 0)
             ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
             RETURNING attempts, forgiven, last_attempt, locked_until, {now}",
        );
        let query = sqlx::query_as(AssertSqlSafe(statement)).bind(name.0.as_slice());
        let (attempts, forgiven, last_attempt, locked_until, now): (i64, i64, i64, i64, i64) =
            query.fetch_one(connection).await?;
        let guesses = decode_guesses((attempts, forgiven, last_attempt, locked_until))?;
        Ok((guesses, Timestamp::from_unix_millis(now)))
    }
}

async fn due(
    connection: &mut PgConnection,
    subject: Subject,
) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> =
        sqlx::query_scalar("SELECT due FROM paces WHERE subject = $1 FOR UPDATE")
            .bind(subject.0.as_slice())
            .fetch_optional(connection)
            .await?;
    Ok(due.map(Timestamp::from_unix_millis))
}

async fn guesses(
    connection: &mut PgConnection,
    name: Subject,
) -> Result<Option<Guesses>, StoreError> {
    let row: Option<GuessesRow> = sqlx::query_as(
        "SELECT attempts, forgiven, last_attempt, locked_until FROM guesses
         WHERE subject = $1 FOR UPDATE",
    )
    .bind(name.0.as_slice())
    .fetch_optional(connection)
    .await?;
    row.map(decode_guesses).transpose()
}
