//! What can be wrong with a store.

use std::fmt;

/// A store could not be locked, read or written.
///
/// The message is for people: it names what failed and, where somebody has to mend it, says how. The
/// kind is for programs.
///
/// ```
/// use client_sdk::store::{FileStore, StoreErrorKind};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("notes.txt");
/// std::fs::write(&path, "milk, bread").unwrap();
/// # #[cfg(unix)]
/// # std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
/// let error = FileStore::open(&path).unwrap_err();
/// assert_eq!(error.kind(), StoreErrorKind::Foreign);
/// assert!(error.to_string().contains("notes.txt"));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
}

/// What ails a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Somebody else held the lock for too long. Try again.
    Busy,
    /// The record is cut short or damaged. It was left as it is.
    Corrupt,
    /// What is there is no record, or one of a newer version. It was left as it is.
    Foreign,
    /// Others could read or change the tokens. Nothing was read or written.
    Permissions,
    /// The storage itself failed: a full disk, a locked keyring.
    Unavailable,
}

impl StoreError {
    /// A failure of the storage itself, with a message that must name what failed and hold no
    /// secret.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self::of_kind(StoreErrorKind::Unavailable, message)
    }

    /// An error of any kind, likewise.
    #[must_use]
    pub fn of_kind(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What ails the store.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl StoreErrorKind {
    const ALL: [Self; 5] =
        [Self::Busy, Self::Corrupt, Self::Foreign, Self::Permissions, Self::Unavailable];

    const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Corrupt => "corrupt",
            Self::Foreign => "foreign",
            Self::Permissions => "permissions",
            Self::Unavailable => "unavailable",
        }
    }

    /// From what [`Display`](fmt::Display) wrote; a name from a newer SDK is `Unavailable`.
    pub(crate) fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Unavailable)
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
