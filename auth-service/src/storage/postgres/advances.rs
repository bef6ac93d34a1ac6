//! Moving sessions forward: one statement a group.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, postgres::PgRow};
use token::clock::{Clock, Timestamp};
use transport::postgres::{ATTEMPTS, Pool, was_rolled_back};
use uuid::Uuid;

use crate::storage::{
    error::StoreError,
    group_commit::{CommitGroup, Outcome},
    postgres::{audit, clock::DatabaseClock},
    rows::{decode_grants, encode_duration, encode_generation, inconsistent, pushed_nonces},
    store::{Advance, Advanced},
};

/// Moves the rows of a group, each by compare-and-set.
///
/// A row that another transaction holds is waited for and judged anew as it then is, deadline
/// included, since that is asked of a clock that runs while the statement does.
pub(super) const ADVANCE: &str = "
    WITH t AS MATERIALIZED (SELECT {now} AS now)
    UPDATE sessions s
    SET generation = v.to_generation,
        nonces = substring(v.pushed || s.nonces FROM 1 FOR 128),
        last_keyed = v.keyed,
        rotated_at = greatest(s.rotated_at, t.now),
        idle_until = t.now + v.idle_life
    FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[], $6::boolean[],
                $7::bigint[], $8::bigint[], $9::bigint[])
             AS v (id, generation, nonce, to_generation, pushed, keyed, idle_floor, idle_life, life),
         t, users u
    WHERE s.id = v.id
      AND s.generation = v.generation
      AND substring(s.nonces FROM 1 FOR 16) = v.nonce
      AND s.revoked_at IS NULL
      AND s.absolute_until > t.now
      AND greatest(s.idle_until, v.idle_floor) > t.now
      AND clock_timestamp() < statement_timestamp() + v.life * interval '1 millisecond'
      AND u.id = s.user_id
      AND u.status = 'active'
    RETURNING s.id, s.rotated_at, u.roles, u.roles_version, t.now";

/// Commits groups of advances with one statement each.
#[derive(Debug)]
pub(super) struct PostgresCommitter {
    pool: Pool,
    statement: Arc<str>,
    clock: Arc<dyn Clock>,
}

impl PostgresCommitter {
    pub(super) fn new(pool: Pool, now: DatabaseClock, clock: Arc<dyn Clock>) -> Self {
        Self { pool, statement: now.within(ADVANCE), clock }
    }

    /// Moves the rows, and tells of each that moved.
    async fn advance(
        &self,
        connection: &mut PgConnection,
        members: &[&Advance],
        sent: Timestamp,
    ) -> Result<HashMap<Uuid, PgRow>, StoreError> {
        let column = |of: fn(&Advance) -> i64| -> Vec<i64> {
            members.iter().map(|advance| of(advance)).collect()
        };
        let nonces: Vec<Vec<u8>> =
            members.iter().map(|advance| advance.expected.nonce.as_bytes().to_vec()).collect();
        let lives: Vec<i64> = members
            .iter()
            .map(|advance| encode_duration(advance.deadline.0.saturating_since(sent)))
            .collect();
        let rows = sqlx::query(AssertSqlSafe(Arc::clone(&self.statement)))
            .bind(members.iter().map(|advance| advance.session.0).collect::<Vec<_>>())
            .bind(column(|advance| encode_generation(advance.expected.generation)))
            .bind(nonces)
            .bind(column(|advance| encode_generation(advance.to.generation)))
            .bind(members.iter().map(|advance| pushed_nonces(advance)).collect::<Vec<_>>())
            .bind(members.iter().map(|advance| advance.to.keyed).collect::<Vec<_>>())
            .bind(column(|advance| advance.idle_floor.unix_millis()))
            .bind(column(|advance| encode_duration(advance.idle_life)))
            .bind(lives)
            .fetch_all(connection)
            .await?;
        Ok(rows.into_iter().map(|row| Ok((row.try_get(0)?, row))).collect::<sqlx::Result<_>>()?)
    }

    /// Moves them on a connection of the primary's, for as long as one of them may still move and the
    /// primary is that server. Whether one that has not answered has moved them is not known.
    async fn commit_once(
        &self,
        members: &[&Advance],
        sent: Timestamp,
    ) -> Result<HashMap<Uuid, PgRow>, StoreError> {
        let lives = members.iter().map(|advance| advance.deadline.0.saturating_since(sent));
        let patience = lives.max().unwrap_or_default() + SLACK;
        let (mut connection, mut left) = self.pool.acquire_until_left().await?;
        match left.or(patience, self.commit_on(&mut connection, members, sent)).await {
            Ok(moved) => moved,
            Err(unanswered) => {
                connection.close_on_drop();
                Err(StoreError::Unavailable(unanswered.into()))
            }
        }
    }

    async fn commit_on(
        &self,
        connection: &mut PgConnection,
        members: &[&Advance],
        sent: Timestamp,
    ) -> Result<HashMap<Uuid, PgRow>, StoreError> {
        let adoptions: Vec<_> = members
            .iter()
            .filter_map(|advance| Some((advance.session, advance.adoption.as_ref()?)))
            .collect();
        if adoptions.is_empty() {
            return self.advance(connection, members, sent).await;
        }
        let mut tx = connection.begin().await?;
        let moved = self.advance(&mut tx, members, sent).await?;
        for (session, adoption) in adoptions {
            if moved.contains_key(&session.0) {
                audit::insert(&mut tx, &adoption.event).await?;
            }
        }
        tx.commit().await?;
        Ok(moved)
    }
}

#[async_trait]
impl CommitGroup for PostgresCommitter {
    async fn commit(&self, group: &[Advance]) -> Result<Vec<Outcome>, StoreError> {
        let mut attempts = 1..=ATTEMPTS;
        loop {
            // The write's turn has come: what is too late now must not be acted upon.
            let sent = self.clock.now();
            let mut timely: Vec<&Advance> =
                group.iter().filter(|advance| !advance.deadline.passed(sent)).collect();
            timely.sort_unstable_by_key(|advance| advance.session);
            let moved = match timely.is_empty() {
                true => Ok(HashMap::new()),
                false => self.commit_once(&timely, sent).await,
            };
            match moved {
                Ok(moved) => {
                    let outcomes =
                        group.iter().map(|advance| match moved.get(&advance.session.0) {
                            Some(row) => outcome(advance, row),
                            None if advance.deadline.passed(self.clock.now()) => Outcome::TooLate,
                            None => Outcome::Unmoved,
                        });
                    return Ok(outcomes.collect());
                }
                // A connection that died may have committed; run again, its rows are found moved,
                // and their attempts are recognised as the ones that moved them.
                Err(StoreError::Unavailable(error))
                    if (was_rolled_back(&error) || matches!(error, sqlx::Error::Io(_)))
                        && attempts.next().is_some() =>
                {
                    tracing::debug!(%error, "a group is committed again");
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// How long after its last moment a group's answer is waited for.
const SLACK: Duration = Duration::from_secs(1);

fn outcome(advance: &Advance, row: &PgRow) -> Outcome {
    let decoded = || -> Result<Advanced, StoreError> {
        let now = Timestamp::from_unix_millis(row.try_get(4)?);
        Ok(Advanced {
            grants: decode_grants(row.try_get(2)?, row.try_get(3)?)
                .map_err(|column| inconsistent("users", column, advance.session))?,
            rotated_at: Timestamp::from_unix_millis(row.try_get(1)?),
            idle_until: now + advance.idle_life,
            now,
        })
    };
    decoded().map_or_else(Outcome::Inconsistent, Outcome::Advanced)
}
