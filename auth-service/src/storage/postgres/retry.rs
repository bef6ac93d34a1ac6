//! Running again what the database sacrificed.

use crate::storage::error::StoreError;

/// Runs `attempt` again if the database sacrificed it to another transaction, or was shutting down
/// or failing over before it could have done anything.
pub(super) async fn retrying<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(StoreError::Unavailable(error)) if was_rolled_back(&error) => {
                tracing::debug!(%error, "run again");
            }
            done => return done,
        }
    }
    attempt().await
}

/// Whether the database says that the transaction has left no trace and may be run again.
pub(super) fn was_rolled_back(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // Serialization failure, deadlock, read-only (a primary that became a standby), shutting down,
    // starting up.
    matches!(code.as_deref(), Some("40001" | "40P01" | "25006" | "57P01" | "57P02" | "57P03"))
}

/// How often a transaction is run before its failure is the caller's.
pub(super) const ATTEMPTS: u32 = 5;
