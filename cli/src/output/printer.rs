//! Prints for people or for programs.

use std::{env, fmt, io::IsTerminal as _};

use serde_json::Value;

use super::{Table, clean};
use crate::{errors::Error, paint};

/// Where a command's output goes: text for people, or JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    json: bool,
    width: Option<usize>,
}

impl Printer {
    /// Lines are cut to the terminal's width, or that of `COLUMNS`; elsewhere they are not.
    pub(crate) fn new(json: bool) -> Self {
        let told = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let seen = || {
            let size = terminal_size::terminal_size().filter(|_| std::io::stdout().is_terminal());
            size.map(|(width, _)| usize::from(width.0))
        };
        Self { json, width: told.or_else(seen).filter(|width| *width > 0) }
    }

    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// A line, or several, as they are.
    pub(crate) fn line(self, text: impl fmt::Display) -> Result<(), Error> {
        paint::line(text)
    }

    /// The one JSON document of a command.
    pub(crate) fn value(self, value: &Value) -> Result<(), Error> {
        // `Value` cannot fail to become text.
        self.line(clean::json(&serde_json::to_string_pretty(value).unwrap_or_default()))
    }

    /// One of several JSON documents, on a line of its own.
    pub(crate) fn value_line(self, value: &Value) -> Result<(), Error> {
        self.line(clean::json(&value.to_string()))
    }

    /// A table, or, if it is empty, `nothing` on standard error.
    pub(crate) fn table(self, table: &Table, nothing: &str) -> Result<(), Error> {
        if table.is_empty() {
            paint::error(paint::styled(paint::FAINT, nothing));
            return Ok(());
        }
        self.line(table.render(self.width))
    }

    /// What was done: `value` for programs, a sentence for people.
    pub(crate) fn done(self, value: &Value, sentence: &str) -> Result<(), Error> {
        if self.json { self.value(value) } else { self.said(sentence) }
    }

    /// What was done, for people only.
    pub(crate) fn said(self, sentence: &str) -> Result<(), Error> {
        if self.json { Ok(()) } else { self.line(clean::lines(sentence)) }
    }

    /// Something said beside the output.
    pub(crate) fn note(self, sentence: &str) {
        if !self.json {
            paint::error(paint::styled(paint::FAINT, clean::lines(sentence)));
        }
    }

    /// Says of a list that has been cut to `limit` that there may be more.
    pub(crate) fn cut(self, count: usize, limit: usize) {
        if count == limit {
            self.note(&format!("These are {limit} at most; `--limit` shows more."));
        }
    }
}
