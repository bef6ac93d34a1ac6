//! The commands of the `api-service` program.

mod care;
mod serve;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use api_service::{Config, Server};
use clap::{Args, Parser, Subcommand};
use token::{clock::SystemClock, entropy::SystemEntropy};
use transport::{
    commands::{Doctor, Failure, Shown, check_config, failed},
    observe::LogObserver,
    process::start_log,
    reload::{LOG, USUAL_LOG},
    settings::{Effective, Program, parse},
};

use self::care::{Backup, Restore};

/// Evergreen's ApiService: trees, folders and categories
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "\
Settings, which every command takes, come from flags, else from variables (EVERGREEN_API_...), else
from a TOML file (--config FILE), else they are the defaults. A flag's name with underscores is its
key in the file: deleted_retention = \"90d\".

Examples:
  api-service serve --config /etc/evergreen/api.toml
  api-service serve --help                           every setting, and its default
  api-service check-config --print-config            the settings as they come out, as such a file
  api-service doctor                                 what is wrong here, and how to mend it
  api-service backup /backups/api.db                 while the service runs"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT, then let the calls under way end
    Serve(Shown<Settings>),
    /// Bring the database's schema up to date, and end
    Migrate(Settings),
    /// Check the settings without touching network or disk
    CheckConfig(Shown<Settings>),
    Doctor(Doctor<Settings>),
    Backup(Backup),
    Restore(Restore),
}

/// What every command takes.
#[derive(Args)]
struct Settings {
    /// A TOML file of settings; flags and variables win over it
    #[arg(id = "config", long = "config", env = "EVERGREEN_API_CONFIG", value_name = "FILE")]
    _file: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Settings")]
    config: Config,
}

/// Does what the command line says.
pub(crate) async fn run() -> ExitCode {
    // The variable of the command line's clients begins alike.
    let program = Program::of::<Config>(NAME, "EVERGREEN_API_", &["EVERGREEN_API_URL"]);
    let (cli, effective) = match parse::<Cli>(&program) {
        Ok(read) => read,
        Err(code) => return code,
    };
    start_log(effective.text(LOG).unwrap_or(USUAL_LOG));
    match carry_out(cli.command, &program, &effective).await {
        Ok(code) => code,
        Err(error) => failed(NAME, &*error),
    }
}

async fn carry_out(
    command: Command,
    program: &Program,
    effective: &Effective,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(shown) => serve::serve(shown, program, effective).await,
        Command::Migrate(settings) => serve::migrate(settings.config).await,
        Command::CheckConfig(shown) => {
            let sound = shown.settings.config.validate();
            check_config(shown.print_config, effective, sound)
        }
        Command::Doctor(doctor) => return Ok(care::doctor(doctor).await),
        Command::Backup(backup) => backup.run().await,
        Command::Restore(restore) => restore.run().await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn open(config: Config) -> Result<Server, Failure> {
    let server = Server::open(
        config,
        Arc::new(SystemClock::new()),
        Arc::new(SystemEntropy),
        Arc::new(LogObserver),
    );
    Ok(server.await?)
}

const NAME: &str = "api-service";
