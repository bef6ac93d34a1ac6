//! Output for people: colour only on a terminal, and never where `NO_COLOR` is set.

use std::{
    fmt,
    io::{self, Write as _},
};

use anstyle::{AnsiColor, Style};

use crate::errors::Error;

/// Writes a line to standard output, and has it leave this process.
///
/// What standard output does not take is an error: who redirects it to a file has nothing else.
pub(crate) fn line(text: impl fmt::Display) -> Result<(), Error> {
    let mut out = anstream::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|e| Error::output(&e))
}

/// Writes this to standard output as it is.
pub(crate) fn verbatim(bytes: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|e| Error::output(&e))
}

/// Writes a line to standard error.
pub(crate) fn error(text: impl fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// `text` in this style.
pub(crate) fn styled(style: Style, text: impl fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A heading.
pub(crate) const HEADING: Style = Style::new().bold();
/// What is less important.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What did not.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// What was refused, and expected to be.
pub(crate) const REFUSED: Style = AnsiColor::Yellow.on_default();
/// What a search found.
pub(crate) const FOUND: Style = AnsiColor::Yellow.on_default().bold();

/// A bar for long work, on a terminal only.
pub(crate) fn progress(steps: u64, what: &str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(steps);
    let template = format!("{{bar:30}} {{human_pos}} of {{human_len}} {what}, {{eta}} to go");
    let style = indicatif::ProgressStyle::with_template(&template);
    bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
    bar
}

/// A count of what has no known end, likewise.
pub(crate) fn counter(what: &str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new_spinner();
    let style = indicatif::ProgressStyle::with_template(&format!("{{human_pos}} {what}"));
    bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_spinner()));
    bar
}
