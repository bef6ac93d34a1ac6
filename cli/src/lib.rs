//! The `evergreen` command, and the laboratory that its demonstration shares with the tests.

pub mod lab;

mod admin;
mod bench;
mod categories;
mod common;
mod completions;
mod demo;
mod errors;
mod folders;
mod man;
mod names;
mod outline;
mod output;
mod pages;
mod paint;
mod people;
mod profile;
mod session;
mod trees;
mod up;
mod walk;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use transport::process::start_log;

use self::{
    errors::{EXIT_CODES, Error, Exit},
    lab::Failure,
    people::People,
};

/// Sessions that nobody is thrown out of.
///
/// Start with `evergreen demo`, which tells the whole story against real servers, or with
/// `evergreen up --demo`, which leaves them running to be tried: `evergreen login demo`.
#[derive(Debug, Parser)]
#[command(name = "evergreen", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    People(People),
    #[command(flatten)]
    Tools(Tools),
}

/// Commands that need no profile.
#[derive(Debug, Subcommand)]
enum Tools {
    Bench(bench::Bench),
    Completions(completions::Completions),
    Demo(demo::Demo),
    #[command(hide = true)]
    DemoRival(demo::Rival),
    Man(man::Man),
    Scale(bench::Scale),
    Soak(bench::Soak),
    Stress(bench::Stress),
    Up(up::Up),
}

/// Parses the command line and does what it says.
pub async fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(refusal) => return refuse(&refusal),
    };
    // The demonstration and the benchmarks cause on purpose what a log would warn of, and people are
    // told in words.
    let up = matches!(command, Command::Tools(Tools::Up(_)));
    start_log(if up { "info" } else { "error" });
    match command {
        Command::People(people) => people.serve().await,
        Command::Tools(tools) => match tools.run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if is_unread(&error) => ExitCode::SUCCESS,
            Err(error) => {
                paint::error(format_args!("{} {error}", paint::styled(paint::BAD, "evergreen:")));
                ExitCode::FAILURE
            }
        },
    }
}

impl Tools {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Bench(bench) => bench.run().await,
            Self::Completions(completions) => Ok(completions.run(Cli::command())?),
            Self::Demo(demo) => demo.run().await,
            Self::DemoRival(rival) => rival.run().await,
            Self::Man(man) => man.run(Cli::command()),
            Self::Scale(scale) => scale.run().await,
            Self::Soak(soak) => soak.run().await,
            Self::Stress(stress) => stress.run().await,
            Self::Up(up) => up.run().await,
        }
    }
}

/// Whether it is only that nobody reads the output any more.
fn is_unread(error: &Failure) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| error.exit() == Exit::Unread)
}

/// Shows the help that was asked for, or says what is wrong with the command line.
fn refuse(refusal: &clap::Error) -> ExitCode {
    // What was not understood cannot say that it asks for JSON in any other way.
    let json = std::env::args_os().any(|arg| arg == "--json");
    if refusal.use_stderr() && json {
        let text = anstream::adapter::strip_str(&refusal.to_string()).to_string();
        Error::new(Exit::Usage, text.trim()).report(true);
    } else {
        // A reader who has gone away is no error of ours.
        let _ = refusal.print();
    }
    if refusal.use_stderr() { Exit::Usage.code().into() } else { ExitCode::SUCCESS }
}
