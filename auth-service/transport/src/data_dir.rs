//! A service's directory: its owner's alone, and one process's at a time.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use thiserror::Error;

/// A directory that this process has to itself, as long as this lives.
///
/// Each service has a lock of its own there, so that two services may share a directory and two
/// processes of one service may not. The lock is the system's: it goes when the process does,
/// however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: File,
}

/// Why a directory cannot be had.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another process of this service has it.
    #[error("{path} is in use by another process", path = .0.display())]
    InUse(PathBuf),
    /// It, or a file in it, cannot be made or written.
    #[error("{path} cannot be used", path = .path.display())]
    Unusable {
        /// What cannot be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataDir {
    /// Takes `path` for `service`, and makes it if need be: readable by its owner alone, since what
    /// users keep private is private on the disk.
    ///
    /// # Errors
    ///
    /// [`DataDirError`].
    pub fn claim(path: &Path, service: &str) -> Result<Self, DataDirError> {
        Self::make(path)?;
        let file = path.join(format!("{service}.lock"));
        let lock = open_private(&file)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(&file)(source)),
        }
    }

    /// Makes `path` if need be, as [`DataDir::claim`] does, for processes that share it.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Unusable`].
    pub fn make(path: &Path) -> Result<(), DataDirError> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true).create(path).map_err(unusable(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it, which is empty and its owner's alone if it was not there. SQLite
    /// takes an empty file for a new database, and gives the files that it puts beside it the same
    /// permissions.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Unusable`].
    pub fn private_file(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        open_private(&path)?;
        Ok(path)
    }
}

impl Drop for DataDir {
    /// Not left to the closing of the file: a child that another thread is starting has it open too,
    /// until it runs its program.
    fn drop(&mut self) {
        // What cannot be unlocked is when the last of them has closed it.
        let _ = self.lock.unlock();
    }
}

fn open_private(path: &Path) -> Result<File, DataDirError> {
    let mut options = File::options();
    options.mode(0o600).create(true).write(true).truncate(false).open(path).map_err(unusable(path))
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> DataDirError + use<> {
    let path = path.to_owned();
    move |source| DataDirError::Unusable { path: path.clone(), source }
}
