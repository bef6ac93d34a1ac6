//! Work that blocks.

use super::StoreError;

/// Keeps what blocks off the threads that drive other tasks.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(StoreError::new(format!("the store's thread is gone: {e}"))))
}
