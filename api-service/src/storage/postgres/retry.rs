//! Running again what the database sacrificed.

use std::fmt;

use crate::storage::{ImportError, StoreError};

/// Runs `attempt` again if the database sacrificed it to another transaction, which leaves no trace
/// of it.
pub(super) async fn retrying<T, E, F>(mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    E: Failure,
    F: Future<Output = Result<T, E>>,
{
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.storage().is_some_and(was_sacrificed) => {
                tracing::debug!(%error, "run again");
            }
            done => return done,
        }
    }
    attempt().await
}

/// What an attempt fails with.
pub(super) trait Failure: fmt::Display {
    /// What storage failed with, if that is why.
    fn storage(&self) -> Option<&StoreError>;
}

impl Failure for StoreError {
    fn storage(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl Failure for ImportError {
    fn storage(&self) -> Option<&StoreError> {
        match self {
            Self::Running => None,
            Self::Store(error) | Self::Tree(_, error) => Some(error),
        }
    }
}

/// A serialization failure or a deadlock.
fn was_sacrificed(error: &StoreError) -> bool {
    let StoreError::Unavailable(error) = error else { return false };
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// How often a transaction is run before its failure is the caller's.
const ATTEMPTS: u32 = 5;
