//! Reading a command line, with all that stands behind it.

use std::{env, ffi::OsString, io::Write as _, path::PathBuf, process::ExitCode};

use clap::{
    Arg, ArgMatches, Args, Command, Parser,
    error::{ContextKind, ContextValue},
};
use thiserror::Error;

use super::{
    effective::Effective,
    environment::unknown,
    file::{FileError, SettingsFile},
};

/// A program and its settings.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    prefix: &'static str,
    foreign: &'static [&'static str],
    settings: Command,
}

/// A command line that was read.
#[derive(Debug)]
pub(crate) struct Read {
    /// What clap made of it.
    pub(crate) matches: ArgMatches,
    /// The settings as they came out; none for a command that takes none.
    pub(crate) effective: Effective,
    /// What was passed over, and had better be mended.
    pub(crate) warnings: Vec<String>,
}

/// Why a command line cannot be followed.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    /// The file of settings cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// clap refuses it, or answers it by itself: `--help`.
    #[error(transparent)]
    Usage(#[from] clap::Error),
}

impl Program {
    /// The program `name`, whose settings are the arguments of `C` and variables that begin with
    /// `prefix`. Those of `foreign` begin so too, and belong to another program.
    #[must_use]
    pub fn of<C: Args>(
        name: &'static str,
        prefix: &'static str,
        foreign: &'static [&'static str],
    ) -> Self {
        Self { name, prefix, foreign, settings: C::augment_args(Command::new(name)) }
    }

    /// Every variable that it reads, or knows to be another's.
    fn variables(&self) -> Vec<String> {
        let own = self.settings.get_arguments().filter_map(Arg::get_env);
        own.map(|name| name.to_string_lossy().into_owned())
            .chain([format!("{}CONFIG", self.prefix)])
            .chain(self.foreign.iter().map(|&name| name.to_owned()))
            .collect()
    }

    /// The variable that holds the value which `error` is about, if no argument does.
    fn variable_of(
        &self,
        error: &clap::Error,
        args: impl IntoIterator<Item = OsString>,
    ) -> Option<String> {
        let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
            return None;
        };
        let flag = shown.split([' ', '=', '[']).next()?;
        let is_it = |arg: &&Arg| arg.get_long() == flag.strip_prefix("--");
        let variable = self.settings.get_arguments().find(is_it)?.get_env()?;
        let names_it =
            |arg: &OsString| arg.to_str().and_then(|arg| arg.split('=').next()) == Some(flag);
        let is_set = env::var_os(variable).is_some();
        (is_set && !args.into_iter().any(|arg| names_it(&arg)))
            .then(|| variable.to_string_lossy().into_owned())
    }
}

/// Reads the process's own command line, says on standard error what was passed over, and gives
/// back the settings as they came out beside what was asked for.
///
/// # Errors
///
/// The exit code, if it ends here: what there was to say has been said.
pub fn parse<P: Parser>(program: &Program) -> Result<(P, Effective), ExitCode> {
    let done = read(program, P::command(), env::args_os()).and_then(|read| {
        let parsed = P::from_arg_matches(&read.matches)?;
        Ok((parsed, read.effective, read.warnings))
    });
    let complain = |line: String| {
        // Nobody is left to hear that nobody listens.
        let _ = writeln!(std::io::stderr(), "{}: {line}", program.name);
    };
    match done {
        Ok((parsed, effective, warnings)) => {
            warnings.into_iter().for_each(|warning| complain(format!("warning: {warning}")));
            Ok((parsed, effective))
        }
        Err(ReadError::Usage(error)) => {
            let _ = error.print();
            if let Some(variable) = program.variable_of(&error, env::args_os()) {
                complain(format!("the value is that of {variable}"));
            }
            Err(u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from))
        }
        Err(error @ ReadError::File(_)) => {
            complain(error.to_string());
            Err(ExitCode::from(USAGE))
        }
    }
}

/// Reads a command line of `command`, in which the path of the file is the argument `config`.
pub(crate) fn read(
    program: &Program,
    command: Command,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Read, ReadError> {
    let args: Vec<_> = args.into_iter().collect();
    // Once without the file, which it names.
    let first = command.clone().try_get_matches_from(&args)?;
    let path = deepest(&first).try_get_one::<PathBuf>("config").ok().flatten();
    let file = match path {
        Some(path) => SettingsFile::read(path, &program.settings)?,
        None => SettingsFile::default(),
    };
    let matches = with_defaults(command, &file).try_get_matches_from(args)?;
    let effective = Effective::new(&program.settings, deepest(&matches), &file);
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut warnings = unknown(program.name, program.prefix, names, &program.variables());
    warnings.extend(file.told_to_others(&program.settings));
    Ok(Read { matches, effective, warnings })
}

/// What was said of the subcommand that is carried out.
fn deepest(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| deepest(inner))
}

fn with_defaults(command: Command, file: &SettingsFile) -> Command {
    let command = command.mut_args(|arg| match file.said.get(arg.get_id().as_str()) {
        Some(said) => arg.default_value(said.text.clone()),
        None => arg,
    });
    command.mut_subcommands(|inner| with_defaults(inner, file))
}

/// What clap ends with when it refuses a command line.
const USAGE: u8 = 2;

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;

    #[derive(Args)]
    struct Config {
        #[arg(long, default_value = "15m", value_name = "DURATION")]
        access_token_ttl: String,
        #[arg(long, default_value = "info")]
        log: String,
        #[arg(long, default_value_t = 64)]
        hash_queue: u32,
    }

    #[derive(Parser)]
    struct Cli {
        #[arg(long)]
        config: Option<PathBuf>,
        #[command(flatten)]
        settings: Config,
    }

    #[test]
    fn a_file_wins_over_defaults_and_a_flag_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("auth.toml");
        fs::write(&file, "access_token_ttl = \"5m\"\nlog = \"debug\"").unwrap();
        let program = Program::of::<Config>("auth-service", "EVERGREEN_AUTH_", &[]);
        let args = ["auth-service", "--config", file.to_str().unwrap(), "--log", "warn"];
        let read = read(&program, Cli::command(), args.map(Into::into)).unwrap();
        let Cli { config, settings } = Cli::from_arg_matches(&read.matches).unwrap();
        assert_eq!(config.as_ref(), Some(&file));
        assert_eq!(settings.access_token_ttl, "5m");
        assert_eq!(settings.log, "warn");
        assert_eq!(settings.hash_queue, 64);
        let effective = read.effective.to_string();
        assert!(effective.starts_with("access_token_ttl = \"5m\"  # file "), "{effective}");
    }
}
