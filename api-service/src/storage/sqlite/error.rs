//! What a driver error means.

use sqlx::Error;

use crate::storage::{StoreError, postgres::error as postgres};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed | Error::Io(_) => {
                Self::Unavailable(error)
            }
            Error::Database(database) => {
                let passing = match postgres::sqlstate(&**database) {
                    Some(sqlstate) => postgres::is_passing(sqlstate),
                    None => code(&error).is_some_and(is_passing),
                };
                if passing { Self::Unavailable(error) } else { Self::Internal(error) }
            }
            _ => Self::Internal(error),
        }
    }
}

/// SQLite's primary result code (<https://sqlite.org/rescode.html>), if the error is SQLite's.
fn code(error: &Error) -> Option<u32> {
    let extended: u32 = error.as_database_error()?.code()?.parse().ok()?;
    // The low byte of an extended code is its primary one.
    Some(extended & 0xff)
}

/// BUSY, LOCKED, READONLY, IOERR, FULL and CANTOPEN: the state of the machine and not of the
/// request, and nothing was written.
fn is_passing(code: u32) -> bool {
    matches!(code, 5 | 6 | 8 | 10 | 13 | 14)
}

/// `taken` for a broken uniqueness, whatever it says for everything else.
pub(super) fn or_taken(error: Error, taken: StoreError) -> StoreError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => taken,
        _ => error.into(),
    }
}
