//! Running again what the database sacrificed.

use transport::postgres::{ATTEMPTS, was_rolled_back};

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
