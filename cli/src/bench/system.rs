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

/// The time of all processors so far, in ticks (proc_stat(5)).
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    all: u64,
    /// Of those, what the machine wanted and others on the same hardware had.
    stolen: u64,
}

impl Ticks {
    pub(super) fn now() -> Option<Self> {
        let all_processors = fs::read_to_string("/proc/stat").ok()?;
        let ticks = all_processors.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        // What guests of this machine had, further on, is among the first ones too.
        let ticks: Vec<u64> = ticks.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
    }

    /// The part that others have had since then: what is measured meanwhile says as little as this says
    /// much.
    pub(super) fn stolen_since(earlier: Option<Self>) -> Option<f64> {
        let (earlier, now) = (earlier?, Self::now()?);
        let all = now.all.checked_sub(earlier.all).filter(|ticks| *ticks > 0)?;
        Some(now.stolen.saturating_sub(earlier.stolen) as f64 / all as f64)
    }
}
