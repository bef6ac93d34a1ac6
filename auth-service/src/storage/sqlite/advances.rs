//! Moving sessions forward: one statement a group.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, FromRow as _, SqlitePool};
use token::clock::Clock;

use crate::{
    domain::id::SessionId,
    storage::{
        error::StoreError,
        group_commit::{CommitGroup, Outcome},
        sqlite::rows::AdvancedLookup,
        store::Advance,
    },
};

/// Commits groups of advances with one statement each.
#[derive(Debug)]
pub(super) struct SqliteCommitter {
    pub(super) writer: SqlitePool,
    pub(super) clock: Arc<dyn Clock>,
}

#[async_trait]
impl CommitGroup for SqliteCommitter {
    async fn commit(&self, group: &[Advance]) -> Result<Vec<Outcome>, StoreError> {
        let mut connection = self.writer.acquire().await?;
        // The write's turn has come: what is too late now must not be acted upon.
        let now = self.clock.now();
        let timely: Vec<&Advance> =
            group.iter().filter(|advance| !advance.deadline.passed(now)).collect();
        let mut advanced = HashMap::with_capacity(timely.len());
        if !timely.is_empty() {
            let mut query =
                sqlx::query(AssertSqlSafe(advance_sql(timely.len()))).bind(now.unix_millis());
            for advance in &timely {
                query = query
                    .bind(advance.session.0)
                    .bind(signed(advance.expected.generation))
                    .bind(advance.expected.nonce.as_bytes().to_vec())
                    .bind(signed(advance.to.generation))
                    .bind(pushed(advance))
                    .bind(advance.to.keyed)
                    .bind(advance.idle_floor.unix_millis())
                    .bind((now + advance.idle_life).unix_millis());
            }
            for row in query.fetch_all(&mut *connection).await? {
                let row = AdvancedLookup::from_row(&row)?;
                advanced.insert(SessionId(row.id), row.into_advanced(now)?);
            }
        }
        Ok(group
            .iter()
            .map(|advance| match advanced.remove(&advance.session) {
                Some(row) => Outcome::Advanced(row),
                None if advance.deadline.passed(now) => Outcome::TooLate,
                None => Outcome::Unmoved,
            })
            .collect())
    }
}

/// The nonces that this advance puts in front of those that the row remembers.
fn pushed(advance: &Advance) -> Vec<u8> {
    let mut nonces = advance.to.nonce.as_bytes().to_vec();
    if let Some(presented) = advance.adopted {
        nonces.extend_from_slice(presented.as_bytes());
    }
    nonces
}

/// The statement that moves `members` rows, each by compare-and-set.
fn advance_sql(members: usize) -> String {
    const COLUMNS: usize = 8;
    let values = (0..members)
        .map(|member| {
            let parameters: Vec<_> =
                (0..COLUMNS).map(|column| format!("${}", 2 + member * COLUMNS + column)).collect();
            format!("({})", parameters.join(","))
        })
        .collect::<Vec<_>>()
        .join(",");
    // A concatenation of blobs is text to SQLite, though its bytes are right: hence the cast.
    format!(
        "WITH v (id, generation, nonce, to_generation, pushed, keyed, idle_floor, idle_until) AS
              (VALUES {values})
         UPDATE sessions
         SET generation = v.to_generation,
             nonces = substr(CAST(v.pushed || sessions.nonces AS BLOB), 1, 128),
             last_keyed = v.keyed,
             rotated_at = max(sessions.rotated_at, $1),
             idle_until = v.idle_until
         FROM v
         WHERE sessions.id = v.id
           AND sessions.generation = v.generation
           AND substr(sessions.nonces, 1, 16) = v.nonce
           AND sessions.revoked_at IS NULL
           AND sessions.absolute_until > $1
           AND max(sessions.idle_until, v.idle_floor) > $1
           AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id
                       AND users.status = 'active')
         RETURNING id, user_id, auth_time, rotated_at, idle_until, absolute_until,
                   (SELECT status FROM users WHERE users.id = user_id) AS user_status,
                   (SELECT roles FROM users WHERE users.id = user_id) AS user_roles"
    )
}

/// Generations count rotations, at most a few a second for a month.
pub(super) fn signed(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}
