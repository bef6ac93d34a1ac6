//! Running again what the database sacrificed.

use transport::postgres::{ATTEMPTS, Pool, was_rolled_back};

use crate::storage::error::StoreError;

/// Runs `attempt` again if the database sacrificed it to another transaction, or was shutting down
/// or failing over before it could have done anything. One that the former primary has not answered
/// when another server is the primary has failed: it may have been done.
pub(super) async fn retrying<T, F>(
    pool: &Pool,
    mut attempt: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut once = async || match pool.unless_left(attempt()).await {
        Ok(done) => done,
        Err(unanswered) => Err(StoreError::Unavailable(unanswered.into())),
    };
    for _ in 1..ATTEMPTS {
        match once().await {
            Err(StoreError::Unavailable(error)) if was_rolled_back(&error) => {
                tracing::debug!(%error, "run again");
            }
            done => return done,
        }
    }
    once().await
}
