//! A store in a file, which processes may share.

use std::{path::Path, sync::Arc};

use super::{
    Record, Store, StoreError, StoreFuture, StoreGuard, StoreWatch,
    blocking::off_thread,
    lock::{LockFile, Locked},
    private::{PrivateFile, sibling},
    record::MAX_BYTES,
};

/// Keeps the record in a file that only its owner can read (mode 0600).
///
/// A save writes a temporary file beside it, syncs that, renames it over and syncs the folder: a
/// crash leaves the old record or the new one. The lock is the operating system's advisory lock on
/// a sibling file named `<file>.lock`, which is never deleted and is free as soon as its holder
/// closes it or dies. Processes that share the file through [`FileStore`] make one refresh between
/// them, and notice each other's changes within about a second: the file is looked at that often,
/// which works on every file system.
///
/// A file of another user, or one that others may open, is neither read nor written; nor is what is
/// no regular file. Content that is no record is never overwritten.
///
/// It does not encrypt, and a network file system that ignores locks must not be used.
///
/// ```no_run
/// use client_sdk::store::FileStore;
///
/// let store = FileStore::open("tokens.json")?;
/// # Ok::<(), client_sdk::store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    files: Arc<Files>,
}

#[derive(Debug)]
struct Files {
    record: PrivateFile,
    lock: LockFile,
}

impl FileStore {
    /// A store in the file at `path`, which need not exist yet; its folder must.
    ///
    /// # Errors
    ///
    /// If the file holds something else than a session record, is not this user's alone, or cannot
    /// be read; [`StoreError::kind`] tells which. It is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let record = PrivateFile::new(path);
        let lock = LockFile::new(sibling(path, ".lock"));
        let files = Arc::new(Files { record, lock });
        files.read()?;
        Ok(Self { files })
    }
}

impl Store for FileStore {
    fn lock(&self) -> StoreFuture<'_, Box<dyn StoreGuard>> {
        Box::pin(async move {
            let locked = self.files.lock.lock().await?;
            let guard = Guard { files: Arc::clone(&self.files), locked };
            Ok(Box::new(guard) as Box<dyn StoreGuard>)
        })
    }

    fn load(&self) -> StoreFuture<'_, Option<Record>> {
        let files = Arc::clone(&self.files);
        Box::pin(off_thread(move || files.read()))
    }

    fn watch(&self) -> Box<dyn StoreWatch> {
        self.files.record.watch()
    }
}

#[derive(Debug)]
struct Guard {
    files: Arc<Files>,
    locked: Locked,
}

impl StoreGuard for Guard {
    fn load(&mut self) -> StoreFuture<'_, Option<Record>> {
        let files = Arc::clone(&self.files);
        Box::pin(self.locked.run(move || files.read()))
    }

    fn save<'a>(&'a mut self, record: &'a Record) -> StoreFuture<'a, ()> {
        let (files, bytes) = (Arc::clone(&self.files), record.encode());
        Box::pin(self.locked.run(move || {
            // What is there and is not ours is somebody's: never overwrite it.
            files.read()?;
            files.record.replace(&bytes)
        }))
    }

    fn clear(&mut self) -> StoreFuture<'_, ()> {
        let files = Arc::clone(&self.files);
        Box::pin(self.locked.run(move || {
            files.read()?;
            files.record.remove()
        }))
    }
}

impl Files {
    fn read(&self) -> Result<Option<Record>, StoreError> {
        let Some(bytes) = self.record.read(MAX_BYTES)? else { return Ok(None) };
        let record = Record::decode(&bytes).map_err(|e| e.at(&self.record.path().display()))?;
        Ok(Some(record))
    }
}
