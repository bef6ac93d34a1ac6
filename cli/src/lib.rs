//! The `evergreen` command, and the laboratory that its demonstration shares with the tests.

pub mod lab;

mod bench;
mod demo;
mod paint;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use transport::process::start_log;

/// Sessions that nobody is thrown out of.
///
/// Start with `evergreen demo`, which tells the whole story against real servers, or with
/// `evergreen up --demo`, which leaves them running to be tried.
#[derive(Parser)]
#[command(name = "evergreen", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Bench),
    Demo(demo::Demo),
    #[command(hide = true)]
    DemoRival(demo::Rival),
    Soak(bench::Soak),
    Up(up::Up),
}

/// Parses the command line and does what it says.
pub async fn run() -> ExitCode {
    let command = Cli::parse().command;
    // The demonstration and the benchmarks cause on purpose what a log would warn of.
    start_log(if matches!(command, Command::Up(_)) { "info" } else { "error" });
    let done = match command {
        Command::Bench(bench) => bench.run().await,
        Command::Demo(demo) => demo.run().await,
        Command::DemoRival(rival) => rival.run().await,
        Command::Soak(soak) => soak.run().await,
        Command::Up(up) => up.run().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            paint::error(format_args!("{} {error}", paint::styled(paint::BAD, "evergreen:")));
            ExitCode::FAILURE
        }
    }
}
