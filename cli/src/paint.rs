//! Output for people: colour only on a terminal, and never where `NO_COLOR` is set.

use std::{
    fmt,
    io::{self, Write as _},
};

use anstyle::{AnsiColor, Style};

/// Tells of the progress of a demonstration or a benchmark, on standard output. Its work does not
/// depend on being watched; what is asked for as output goes through [`write()`].
pub(crate) fn line(text: impl fmt::Display) {
    let _ = write(text);
}

/// Writes a line to standard output, and has it leave this process.
pub(crate) fn write(text: impl fmt::Display) -> io::Result<()> {
    let mut out = anstream::stdout();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes what is made for other programs to standard output, as it is. A reader who has gone away has
/// read enough.
pub(crate) fn write_all(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(io::Error::new(error.kind(), format!("cannot write to standard output: {error}")))
        }
        Ok(()) => Ok(()),
    }
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
