//! A service's SQLite file: looked at, backed up and restored.

mod backup;
mod look;
mod restore;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

pub use self::{
    backup::{BackupError, backup},
    look::{is_damage, look, schema_of},
    restore::{RestoreError, restore},
};

/// Whether part of what a database says is in a file beside it, as while it is in use.
#[must_use]
pub fn has_log(database: &Path) -> bool {
    fs::metadata(beside(database, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// `path` with `suffix` behind its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file that was not there, its owner's alone.
fn new_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.mode(0o600).create_new(true).write(true).open(path)
}

/// Makes durable which files there are in the directory of `path`.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
