//! One writer at a time for what belongs together.

use sqlx::{PgConnection, Postgres, Transaction};

use super::open::PostgresStore;
use crate::storage::StoreError;

impl PostgresStore {
    /// A transaction that may write `owner`'s trees and folders, and is alone in that until it ends.
    ///
    /// So two moves of folders that are each right alone never make a ring together, and a folder
    /// that is found empty stays so until it is gone. Nothing else is held yet, and no transaction
    /// holds two such locks, so waiting for one closes no circle.
    pub(super) async fn begin_as(
        &self,
        owner: &str,
    ) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut tx = self.begin().await?;
        // A statement of its own: what was committed while it waited is seen by the next.
        sqlx::query(LOCK_OWNER).bind(owner).execute(&mut *tx).await?;
        Ok(tx)
    }
}

/// What one instance does at a time, whatever it is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// Making documents of trees anew.
    Documents,
    /// Giving numbers to changes, or removing some.
    Log,
    /// Making the schema: `CREATE SCHEMA IF NOT EXISTS` fails if another one makes it at the same
    /// moment.
    Schema,
}

/// Waits for its turn, which ends with the transaction.
pub(super) async fn take_turn(
    connection: &mut PgConnection,
    turn: Turn,
) -> Result<(), sqlx::Error> {
    let name = match turn {
        Turn::Documents => "documents",
        Turn::Log => "log",
        Turn::Schema => "schema",
    };
    sqlx::query(TAKE_TURN).bind(name).execute(connection).await?;
    Ok(())
}

// The seeds keep these apart from each other and from what others lock in the database. Owners whose
// hashes are equal wait for each other, and nothing worse.
pub(super) const LOCK_OWNER: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended($1, 4993274410277351028))";
const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 7315418326021460371))";
