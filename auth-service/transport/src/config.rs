//! How a program says which setting is wrong.

use std::fmt;

/// A setting that cannot be what it is, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The flag that sets it.
    pub setting: &'static str,
    /// What to do.
    pub mend: String,
}

impl ConfigError {
    /// `setting` cannot be what it is.
    #[must_use]
    pub fn new(setting: &'static str, mend: impl Into<String>) -> Self {
        Self { setting, mend: mend.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.mend)
    }
}

impl std::error::Error for ConfigError {}
