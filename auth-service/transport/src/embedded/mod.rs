//! A service's SQLite file: looked at, backed up and restored.

mod backup;
mod look;
mod restore;

use std::{fs, path::Path};

pub use self::{
    backup::{BackupError, backup},
    look::{is_damage, look, schema_of},
    restore::{RestoreError, restore},
};
use crate::whole_file::beside;

/// Whether part of what a database says is in a file beside it, as while it is in use.
#[must_use]
pub fn has_log(database: &Path) -> bool {
    fs::metadata(beside(database, "-wal")).is_ok_and(|log| log.len() > 0)
}
