//! Running again what the database sacrificed.

use std::fmt;

use transport::postgres::{ATTEMPTS, Pool, was_rolled_back};

use crate::storage::{ImportError, StoreError};

/// Runs `attempt` again if the database sacrificed it to another transaction, or was shutting down
/// or failing over before it could have done anything. One that the former primary has not answered
/// when another server is the primary has failed: it may have been done.
pub(super) async fn retrying<T, E, F>(pool: &Pool, mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    E: Failure + From<StoreError>,
    F: Future<Output = Result<T, E>>,
{
    let mut once = async || match pool.unless_left(attempt()).await {
        Ok(done) => done,
        Err(unanswered) => Err(StoreError::Unavailable(unanswered.into()).into()),
    };
    for _ in 1..ATTEMPTS {
        match once().await {
            Err(error)
                if matches!(
                    error.storage(), Some(StoreError::Unavailable(error)) if was_rolled_back(error)
                ) =>
            {
                tracing::debug!(%error, "run again");
            }
            done => return done,
        }
    }
    once().await
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
