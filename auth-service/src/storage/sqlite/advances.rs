//! Moving sessions forward: one statement a group.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};
use token::clock::{Clock, Timestamp};
use uuid::Uuid;

use crate::storage::{
    error::StoreError,
    group_commit::{CommitGroup, Outcome},
    rows::{decode_grants, encode_generation, inconsistent, pushed_nonces},
    sqlite::{
        audit,
        writer::{Writer, begin},
    },
    store::{Advance, Advanced},
};

/// Commits groups of advances with one statement each.
#[derive(Debug)]
pub(super) struct SqliteCommitter {
    writer: Arc<Writer>,
    clock: Arc<dyn Clock>,
    /// The statement for one member, two members, and so on.
    statements: Vec<OnceLock<Arc<str>>>,
}

impl SqliteCommitter {
    pub(super) fn new(writer: Arc<Writer>, clock: Arc<dyn Clock>, max_members: usize) -> Self {
        Self { writer, clock, statements: vec![OnceLock::new(); max_members] }
    }

    /// Moves the rows, and tells of each that moved.
    async fn advance(
        &self,
        connection: &mut SqliteConnection,
        members: &[&Advance],
        now: Timestamp,
    ) -> Result<HashMap<Uuid, SqliteRow>, StoreError> {
        let Some(statement) = members.len().checked_sub(1).map(|place| &self.statements[place])
        else {
            return Ok(HashMap::new());
        };
        let statement = statement.get_or_init(|| advance_sql(members.len()).into());
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(statement))).bind(now.unix_millis());
        for advance in members {
            query = query
                .bind(advance.session.0)
                .bind(encode_generation(advance.expected.generation))
                .bind(advance.expected.nonce.as_bytes().to_vec())
                .bind(encode_generation(advance.to.generation))
                .bind(pushed_nonces(advance))
                .bind(advance.to.keyed)
                .bind(advance.idle_floor.unix_millis())
                .bind((now + advance.idle_life).unix_millis());
        }
        let rows = query.fetch_all(connection).await?;
        Ok(rows.into_iter().map(|row| Ok((row.try_get(0)?, row))).collect::<sqlx::Result<_>>()?)
    }
}

#[async_trait]
impl CommitGroup for SqliteCommitter {
    async fn commit(&self, group: &[Advance]) -> Result<Vec<Outcome>, StoreError> {
        let mut connection = self.writer.turn().await?;
        // The write's turn has come: what is too late now must not be acted upon.
        let now = self.clock.now();
        let timely: Vec<&Advance> =
            group.iter().filter(|advance| !advance.deadline.passed(now)).collect();
        let adoptions: Vec<_> = timely
            .iter()
            .filter_map(|advance| Some((advance.session, advance.adoption.as_ref()?)))
            .collect();
        let moved = if adoptions.is_empty() {
            self.advance(&mut connection, &timely, now).await?
        } else {
            let mut tx = begin(&mut connection).await?;
            let moved = self.advance(&mut tx, &timely, now).await?;
            for (session, adoption) in adoptions {
                if moved.contains_key(&session.0) {
                    audit::insert(&mut tx, &adoption.event).await?;
                }
            }
            tx.commit().await?;
            moved
        };
        Ok(group
            .iter()
            .map(|advance| match moved.get(&advance.session.0) {
                Some(row) => outcome(advance, row, now),
                None if advance.deadline.passed(now) => Outcome::TooLate,
                None => Outcome::Unmoved,
            })
            .collect())
    }
}

fn outcome(advance: &Advance, row: &SqliteRow, now: Timestamp) -> Outcome {
    let decoded = || -> Result<Advanced, StoreError> {
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

/// The statement that moves `members` rows, each by compare-and-set.
fn advance_sql(members: usize) -> String {
    // Parameters without names are bound by their place; each name would be searched for among all.
    let values = vec!["(?,?,?,?,?,?,?,?)"; members].join(",");
    // A concatenation of blobs is text to SQLite, though its bytes are right: hence the cast.
    format!(
        "WITH t (now) AS (VALUES (?)),
              v (id, generation, nonce, to_generation, pushed, keyed, idle_floor, idle_until) AS
              (VALUES {values})
         UPDATE sessions
         SET generation = v.to_generation,
             nonces = substr(CAST(v.pushed || sessions.nonces AS BLOB), 1, 128),
             last_keyed = v.keyed,
             rotated_at = max(sessions.rotated_at, t.now),
             idle_until = v.idle_until
         FROM v, t
         WHERE sessions.id = v.id
           AND sessions.generation = v.generation
           AND substr(sessions.nonces, 1, 16) = v.nonce
           AND sessions.revoked_at IS NULL
           AND sessions.absolute_until > t.now
           AND max(sessions.idle_until, v.idle_floor) > t.now
           AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id
                       AND users.status = 'active')
         RETURNING id, rotated_at, (SELECT roles FROM users WHERE users.id = user_id),
                   (SELECT roles_version FROM users WHERE users.id = user_id)"
    )
}
