//! What both programs' commands do alike: say, show their settings, report what is wrong.

use std::{
    env,
    error::Error,
    io::{IsTerminal as _, Write as _, stderr, stdout},
    process::ExitCode,
};

use clap::Args;

use crate::{config::ConfigError, doctor::Report, serve::ServeError, settings::Effective};

/// Why a command did not do what it was asked to.
pub type Failure = Box<dyn Error>;

/// Settings that may be shown instead of used.
#[derive(Args, Debug)]
pub struct Shown<S: Args> {
    /// Print the settings as they come out, as a TOML file that says where each comes from, and end.
    /// Secrets are not in it
    #[arg(long)]
    pub print_config: bool,
    /// The settings.
    #[command(flatten)]
    pub settings: S,
}

/// Look at everything that the service needs, and say what is wrong and how to mend it
///
/// One line for each: ok, warn or FAIL. Nothing is changed, and the service may run meanwhile. The
/// exit code is 1 if anything failed. All of an embedded database is read, which takes a while if it
/// is large.
#[derive(Args, Debug)]
pub struct Doctor<S: Args> {
    /// Print one JSON document: {"ok", "checks": [{"name", "verdict", "found", "mend"}]}
    #[arg(long)]
    json: bool,
    /// The settings.
    #[command(flatten)]
    pub settings: S,
}

impl<S: Args> Doctor<S> {
    /// Shows what was found, and whether it is sound.
    pub fn show(&self, report: &Report) -> ExitCode {
        if self.json {
            say(&report.json().to_string());
        } else {
            let color = stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
            say(&report.text(color));
        }
        if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Prints the settings, sound or not: that they are not is when they are looked at.
///
/// # Errors
///
/// Why they are not sound.
pub fn print_config(effective: &Effective, sound: Result<(), ConfigError>) -> Result<(), Failure> {
    say(effective.to_string().trim_end());
    Ok(sound?)
}

/// Says that the settings are sound, or prints them.
///
/// # Errors
///
/// Why they are not sound.
pub fn check_config(
    print: bool,
    effective: &Effective,
    sound: Result<(), ConfigError>,
) -> Result<(), Failure> {
    if print {
        return print_config(effective, sound);
    }
    sound?;
    say("the settings are sound");
    Ok(())
}

/// A line on standard output. That it is closed is no reason to stop serving.
pub fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

/// Says on standard error why `program` did not do what it was asked to.
#[must_use]
pub fn failed(program: &str, failure: &(dyn Error + 'static)) -> ExitCode {
    let _ = writeln!(stderr(), "{program}: {failure}");
    let mut cause = failure.source();
    while let Some(error) = cause {
        let _ = writeln!(stderr(), "  caused by: {error}");
        cause = error.source();
    }
    match failure.downcast_ref() {
        Some(ServeError::Cut) => ExitCode::from(CUT),
        _ => ExitCode::FAILURE,
    }
}

/// The exit code of a service that stopped as it was told to, but cut calls that were under way.
pub const CUT: u8 = 3;
