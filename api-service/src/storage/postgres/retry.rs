//! Running again what the database sacrificed.

use crate::storage::StoreError;

/// Runs `attempt` again if the database sacrificed it to another transaction, which leaves no trace
/// of it.
pub(super) async fn retrying<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(StoreError::Unavailable(error)) if was_sacrificed(&error) => {
                tracing::debug!(%error, "run again");
            }
            done => return done,
        }
    }
    attempt().await
}

/// A serialization failure or a deadlock.
fn was_sacrificed(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

/// How often a transaction is run before its failure is the caller's.
const ATTEMPTS: u32 = 5;
