//! What an error of PostgreSQL means.

use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

use crate::storage::StoreError;

/// The SQLSTATE, if the error is PostgreSQL's
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
pub(crate) fn sqlstate(error: &dyn DatabaseError) -> Option<&str> {
    Some(error.try_downcast_ref::<PgDatabaseError>()?.code())
}

/// The state of the server and not of the request, and nothing was written: a lost connection, a
/// standby, a sacrificed transaction, a lack of space or memory, an operator, the disk.
pub(crate) fn is_passing(sqlstate: &str) -> bool {
    matches!(sqlstate, "25006" | "25P03")
        || ["08", "40", "53", "55", "57", "58"].iter().any(|class| sqlstate.starts_with(class))
}

/// `taken` if one of these constraints or unique indexes was broken, whatever it says for everything
/// else.
pub(super) fn or_broken(error: sqlx::Error, constraints: &[&str], taken: StoreError) -> StoreError {
    match error.as_database_error().and_then(DatabaseError::constraint) {
        Some(broken) if constraints.contains(&broken) => taken,
        _ => error.into(),
    }
}
