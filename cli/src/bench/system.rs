//! What the system tells of processes, where it has a /proc.

use std::{fs, path::PathBuf};

/// Whom it is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Process {
    /// The one that asks.
    Own,
    /// The one of this id.
    Other(u32),
}

impl Process {
    /// The bytes that it has in memory now.
    pub(super) fn resident(self) -> Option<u64> {
        self.kibibytes("VmRSS:")
    }

    /// The most that it has ever had there.
    pub(super) fn peak(self) -> Option<u64> {
        self.kibibytes("VmHWM:")
    }

    /// How many files it has open.
    pub(super) fn open_files(self) -> Option<u64> {
        let open = fs::read_dir(self.folder().join("fd")).ok()?.count();
        // Who counts its own has one open to count them.
        let counting = usize::from(matches!(self, Self::Own));
        u64::try_from(open - counting).ok()
    }

    /// A line of its status (proc(5)), in bytes.
    fn kibibytes(self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(self.folder().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    fn folder(self) -> PathBuf {
        match self {
            Self::Own => "/proc/self".into(),
            Self::Other(id) => format!("/proc/{id}").into(),
        }
    }
}
