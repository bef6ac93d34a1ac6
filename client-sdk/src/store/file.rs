//! A store in a file, which processes may share.

use std::{
    fmt::Display,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use zeroize::Zeroizing;

use super::{Record, Store, StoreError, StoreFuture, StoreGuard};

/// Keeps the record in a file that only its owner can read (mode 0600).
///
/// A save writes a temporary file beside it, syncs that, renames it over and syncs the folder: a
/// crash leaves the old record or the new one. The lock is the operating system's advisory lock on
/// a sibling file named `<file>.lock`, which is never deleted and is free as soon as its holder
/// closes it or dies. Processes that share the file through [`FileStore`] make one refresh between
/// them.
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
    paths: Arc<Paths>,
}

#[derive(Debug)]
struct Paths {
    record: PathBuf,
    lock: PathBuf,
    temporary: PathBuf,
    folder: PathBuf,
}

impl FileStore {
    /// A store in the file at `path`, which need not exist yet; its folder must.
    ///
    /// # Errors
    ///
    /// If the file holds something else than a session record, or cannot be read. It is left as
    /// it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let record = path.as_ref().to_path_buf();
        let sibling = |suffix: &str| {
            let mut name = record.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let folder = match record.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let (lock, temporary) = (sibling(".lock"), sibling(".tmp"));
        let paths = Arc::new(Paths { record, lock, temporary, folder });
        paths.read()?;
        Ok(Self { paths })
    }
}

impl Store for FileStore {
    fn lock(&self) -> StoreFuture<'_, Box<dyn StoreGuard>> {
        Box::pin(async move {
            let paths = Arc::clone(&self.paths);
            let mut file = off_thread(move || paths.open_lock()).await?;
            // Asking again and again, rather than blocking a thread on it, lets the caller give up
            // by dropping this future.
            let mut pause = FIRST_PAUSE;
            loop {
                file = match file.try_lock() {
                    Ok(()) => break,
                    Err(TryLockError::WouldBlock) => file,
                    Err(TryLockError::Error(e)) => return Err(failed("lock", &self.paths.lock, e)),
                };
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            let guard = Guard { paths: Arc::clone(&self.paths), lock: Arc::new(file) };
            Ok(Box::new(guard) as Box<dyn StoreGuard>)
        })
    }

    fn load(&self) -> StoreFuture<'_, Option<Record>> {
        let paths = Arc::clone(&self.paths);
        Box::pin(off_thread(move || paths.read()))
    }
}

/// Holds the lock file open; closing it frees the lock.
#[derive(Debug)]
struct Guard {
    paths: Arc<Paths>,
    lock: Arc<File>,
}

impl Guard {
    /// Runs `work` off the async threads. It holds the lock itself, so that a caller who is dropped
    /// meanwhile does not free the lock under a write that goes on.
    fn under_lock<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Paths) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let (paths, lock) = (Arc::clone(&self.paths), Arc::clone(&self.lock));
        Box::pin(off_thread(move || {
            let done = work(&paths);
            drop(lock);
            done
        }))
    }
}

impl StoreGuard for Guard {
    fn load(&mut self) -> StoreFuture<'_, Option<Record>> {
        self.under_lock(Paths::read)
    }

    fn save<'a>(&'a mut self, record: &'a Record) -> StoreFuture<'a, ()> {
        let bytes = record.encode();
        self.under_lock(move |paths| paths.replace(&bytes))
    }

    fn clear(&mut self) -> StoreFuture<'_, ()> {
        self.under_lock(Paths::remove)
    }
}

impl Paths {
    fn open_lock(&self) -> Result<File, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        private(&mut options).open(&self.lock).map_err(|e| failed("open", &self.lock, e))
    }

    fn read(&self) -> Result<Option<Record>, StoreError> {
        let mut file = match File::open(&self.record) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("open", &self.record, e)),
        };
        let mut bytes = Zeroizing::new(Vec::new());
        file.read_to_end(&mut bytes).map_err(|e| failed("read", &self.record, e))?;
        let record = Record::decode(&bytes).map_err(|e| failed("read", &self.record, e))?;
        Ok(Some(record))
    }

    fn replace(&self, bytes: &[u8]) -> Result<(), StoreError> {
        // What is there and is not ours is somebody's: never overwrite it.
        self.read()?;
        let write = || {
            // A leftover of a crash may have another mode, so it is not reused.
            match fs::remove_file(&self.temporary) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            let mut file = private(&mut options).open(&self.temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&self.temporary, &self.record)?;
            self.sync_folder()
        };
        write().map_err(|e| failed("write", &self.record, e))
    }

    fn remove(&self) -> Result<(), StoreError> {
        self.read()?;
        match fs::remove_file(&self.record) {
            Ok(()) => self.sync_folder(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
        .map_err(|e| failed("remove", &self.record, e))
    }

    /// Makes a rename or a removal survive a crash.
    fn sync_folder(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.folder)?.sync_all() } else { Ok(()) }
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn failed(verb: &str, path: &Path, source: impl Display) -> StoreError {
    StoreError::new(format!("cannot {verb} {}: {source}", path.display()))
}

/// Keeps file system calls off the threads that drive other tasks.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(StoreError::new(format!("the store's thread is gone: {e}"))))
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
