//! Looking at a database without changing it.

use std::path::Path;

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, migrate::Migrator,
    sqlite::SqliteConnectOptions,
};

use crate::{schema::Schema, whole_file::beside};

/// Opens `file` to be read, and changes nothing.
///
/// Without a log beside it, nobody has it open, and it is read as it lies there: to take locks on it
/// would make files.
///
/// # Errors
///
/// What the engine says.
pub async fn look(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let is_closed = !beside(file, "-wal").exists();
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.immutable(is_closed).connect().await?;
    // The file is opened when it is read first.
    sqlx::query("SELECT count(*) FROM sqlite_schema").execute(&mut connection).await?;
    Ok(connection)
}

/// The schema of `file`, which is looked at and not changed: to open a database for more would put one
/// of another program into a mode that it does not know.
///
/// # Errors
///
/// What the engine says.
pub async fn schema_of(file: &Path, known: &Migrator) -> Result<Schema, sqlx::Error> {
    let mut connection = look(file).await?;
    let schema = Schema::of_sqlite(&mut connection, known).await?;
    connection.close().await?;
    Ok(schema)
}

/// Whether the engine says that it is no database, or a damaged one: CORRUPT or NOTADB, whatever
/// else they say.
#[must_use]
pub fn is_damage(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let code = code.and_then(|code| code.parse::<u32>().ok());
    matches!(code.map(|code| code & 0xff), Some(11 | 26))
}
