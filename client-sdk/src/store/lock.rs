//! The operating system's lock on a file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    StoreError,
    blocking::off_thread,
    private::{self, failed},
};

/// A file whose lock stands for a store's. It is never deleted, and holds nothing.
#[derive(Debug)]
pub(super) struct LockFile(PathBuf);

/// The lock, until it is dropped or the process ends.
#[derive(Clone, Debug)]
pub(super) struct Locked {
    _file: Arc<File>,
}

impl LockFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Waits for the lock, until the future is dropped.
    pub(super) async fn lock(&self) -> Result<Locked, StoreError> {
        let path = self.0.clone();
        let file = off_thread(move || open(&path)).await?;
        // Asking again and again, rather than blocking a thread on it, lets the caller give up by
        // dropping this future.
        let mut pause = FIRST_PAUSE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Locked { _file: Arc::new(file) }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(failed("lock", &self.0, e)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Locked {
    /// Runs `work` off the async threads. It holds the lock itself, so that a caller who is dropped
    /// meanwhile does not free the lock under a write that goes on.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let held = self.clone();
        off_thread(move || {
            let done = work();
            drop(held);
            done
        })
        .await
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let missing = || failed("open", path, "its folder is gone");
    private::open(path, &mut options)?.ok_or_else(missing)
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
