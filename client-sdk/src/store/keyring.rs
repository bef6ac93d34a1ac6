//! A store in the operating system's keyring.

use std::{path::Path, sync::Arc, thread};

use keyring_core::{Entry, Error};
use zeroize::Zeroizing;

use super::{
    Record, Store, StoreError, StoreErrorKind, StoreFuture, StoreGuard, StoreWatch,
    blocking::off_thread,
    lock::{LockFile, Locked},
    private::PrivateFile,
};

/// Keeps the record in a keyring: the one that the application has chosen with
/// [`keyring_core::set_default_store`], or that of an [`Entry`] of its own.
///
/// Keyrings have no lock that spans processes, so this store takes the same lock of the operating
/// system as [`FileStore`](super::FileStore), on a file in a directory of the caller's choice. The
/// processes that share the entry must name the same directory. Beside the lock lies an empty stamp
/// file, which every save replaces and which the other processes look at once a second: asking the
/// keyring that often would be slow, and on some systems a question to the user each time. A process
/// that dies between its save and the stamp is noticed at the next refresh.
///
/// Calls to the keyring block, and are made away from the async threads; so does the end of a
/// connection to it, when the last clone of the store is dropped.
///
/// It is tested with the stores for tests that `keyring-core` brings, and was tried with GNOME's
/// keyring, but not with those of macOS or of Windows. Some of these limit how large a secret may be (2,560 bytes on
/// Windows, which a pair of signed tokens comes near to); one that is too large is not saved, and
/// [`Event::SaveFailed`](crate::Event::SaveFailed) says so.
///
/// ```
/// use client_sdk::store::KeyringStore;
///
/// # let state_dir = tempfile::tempdir().unwrap();
/// keyring_core::set_default_store(keyring_core::mock::Store::new()?); // a real one, rather
/// let store = KeyringStore::open("evergreen", "ada", state_dir.path())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyringStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// There until the store is dropped.
    entry: Option<Entry>,
    /// What messages call it.
    name: String,
    lock: LockFile,
    stamp: PrivateFile,
}

impl KeyringStore {
    /// A store in the entry of `service` and `user` of the default keyring, whose lock is in
    /// `directory`, which must exist.
    ///
    /// # Errors
    ///
    /// If no default keyring was set, or it does not take these names. Whether the keyring can be
    /// read shows at the first [`load`](Store::load): it may have to ask the user.
    pub fn open(
        service: &str,
        user: &str,
        directory: impl AsRef<Path>,
    ) -> Result<Self, StoreError> {
        let name = format!("{service}/{user}");
        let entry = Entry::new(service, user).map_err(|e| failed("open", &name, &e))?;
        Ok(Self::with_entry(entry, &name, directory))
    }

    /// A store in `entry`, whose lock is in `directory` under `name`. All who share the entry must
    /// use the same two.
    #[must_use]
    pub fn with_entry(entry: Entry, name: &str, directory: impl AsRef<Path>) -> Self {
        let file = |suffix| directory.as_ref().join(format!("{}{suffix}", file_name(name)));
        let (lock, stamp) = (LockFile::new(file(".lock")), PrivateFile::new(&file(".stamp")));
        let (entry, name) = (Some(entry), name.to_owned());
        Self { inner: Arc::new(Inner { entry, name, lock, stamp }) }
    }
}

impl Store for KeyringStore {
    fn lock(&self) -> StoreFuture<'_, Box<dyn StoreGuard>> {
        Box::pin(async move {
            let locked = self.inner.lock.lock().await?;
            let guard = Guard { inner: Arc::clone(&self.inner), locked };
            Ok(Box::new(guard) as Box<dyn StoreGuard>)
        })
    }

    fn load(&self) -> StoreFuture<'_, Option<Record>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(off_thread(move || inner.read()))
    }

    fn watch(&self) -> Box<dyn StoreWatch> {
        self.inner.stamp.watch()
    }
}

#[derive(Debug)]
struct Guard {
    inner: Arc<Inner>,
    locked: Locked,
}

impl StoreGuard for Guard {
    fn load(&mut self) -> StoreFuture<'_, Option<Record>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(self.locked.run(move || inner.read()))
    }

    fn save<'a>(&'a mut self, record: &'a Record) -> StoreFuture<'a, ()> {
        let (inner, bytes) = (Arc::clone(&self.inner), record.encode());
        Box::pin(self.locked.run(move || {
            // What is there and is not ours is somebody's: never overwrite it.
            inner.read()?;
            inner.entry().set_secret(&bytes).map_err(|e| failed("save to", &inner.name, &e))?;
            inner.stamp();
            Ok(())
        }))
    }

    fn clear(&mut self) -> StoreFuture<'_, ()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(self.locked.run(move || {
            inner.read()?;
            match inner.entry().delete_credential() {
                Ok(()) => inner.stamp(),
                Err(Error::NoEntry) => {}
                Err(e) => return Err(failed("clear", &inner.name, &e)),
            }
            Ok(())
        }))
    }
}

impl Inner {
    fn entry(&self) -> &Entry {
        self.entry.as_ref().expect("only a drop takes it")
    }

    fn read(&self) -> Result<Option<Record>, StoreError> {
        let bytes = match self.entry().get_secret() {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(Error::NoEntry) => return Ok(None),
            Err(e) => return Err(failed("read", &self.name, &e)),
        };
        let place = format!("the keyring's entry {}", self.name);
        Record::decode(&bytes).map(Some).map_err(|e| e.at(&place))
    }

    /// Tells the other processes. The record is saved even if that fails; they read it at their next
    /// refresh.
    fn stamp(&self) {
        if let Err(error) = self.stamp.replace(&[]) {
            tracing::warn!(%error, "other processes learn late of what was saved");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        // What runs on a runtime may not wait, and a runtime that ends takes no more work.
        if tokio::runtime::Handle::try_current().is_ok() {
            let leave = thread::Builder::new().name("keyring".to_owned());
            // Without a thread it is dropped here, which may panic and loses nothing that is stored.
            let _ = leave.spawn(move || drop(entry));
        }
    }
}

/// Of the keyring's error only what holds no part of a secret.
fn failed(verb: &str, name: &str, error: &Error) -> StoreError {
    let (kind, what) = match error {
        Error::Ambiguous(_) => {
            (StoreErrorKind::Foreign, "several entries match; remove all but one".to_owned())
        }
        Error::BadDataFormat(..) | Error::BadEncoding(_) => (
            StoreErrorKind::Corrupt,
            "the entry is damaged; remove it and sign in again".to_owned(),
        ),
        Error::NoDefaultStore => {
            let what = "no keyring was chosen; call keyring_core::set_default_store first";
            (StoreErrorKind::Unavailable, what.to_owned())
        }
        Error::NoStorageAccess(_) => {
            (StoreErrorKind::Unavailable, format!("{error}; unlock the keyring"))
        }
        _ => (StoreErrorKind::Unavailable, error.to_string()),
    };
    StoreError::of_kind(kind, format!("cannot {verb} the keyring's entry {name}: {what}"))
}

/// `name` as the name of a file: no two names have the same.
fn file_name(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::from("keyring-"), |mut file, byte| {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            file.push(char::from(byte));
        } else {
            write!(file, "%{byte:02x}").expect("a string takes all that is written");
        }
        file
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_leave_the_directory_and_never_meet() {
        assert_eq!(file_name("evergreen/ada"), "keyring-evergreen%2fada");
        assert_eq!(file_name("../a"), "keyring-%2e%2e%2fa");
        assert_ne!(file_name("a%2fb"), file_name("a/b"));
    }
}
