//! What is wrong with an outline, and where.

use std::fmt;

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutlineError {
    /// Counts from 1.
    pub(crate) line: usize,
    /// What is wrong, and how to mend it.
    pub(crate) mend: String,
}

impl OutlineError {
    pub(super) fn new(line: usize, mend: impl Into<String>) -> Self {
        Self { line, mend: mend.into() }
    }
}

impl fmt::Display for OutlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.mend)
    }
}
