//! The signing keys that are in use, for whoever only looks at a database.

use sqlx::{PgConnection, SqliteConnection};

use crate::storage::store::SealedKey;

/// A key, and whether it signs now; else it signs next.
pub(crate) type InUse = (SealedKey, bool);

/// Those of a SQLite database.
pub(crate) async fn of_sqlite(
    connection: &mut SqliteConnection,
) -> Result<Vec<InUse>, sqlx::Error> {
    let rows = sqlx::query_as(IN_USE).fetch_all(connection).await?;
    Ok(rows.into_iter().map(in_use).collect())
}

/// Those of a PostgreSQL database.
pub(crate) async fn of_postgres(connection: &mut PgConnection) -> Result<Vec<InUse>, sqlx::Error> {
    let rows = sqlx::query_as(IN_USE).fetch_all(connection).await?;
    Ok(rows.into_iter().map(in_use).collect())
}

fn in_use((kid, state, public_key, sealed_seed): (String, String, String, Vec<u8>)) -> InUse {
    (SealedKey { kid, public_key, sealed_seed }, state == "active")
}

const IN_USE: &str = "SELECT kid, state, public_key, sealed_seed FROM signing_keys
                      WHERE state IN ('active', 'next') ORDER BY kid";
