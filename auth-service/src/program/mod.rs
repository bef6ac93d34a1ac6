//! The commands of the `auth-service` program.

mod accounts;
mod care;
mod keys;
mod password;
mod serve;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use auth_service::{Config, Server};
use clap::{Args, Parser, Subcommand};
use token::{
    clock::{SystemClock, Timestamp},
    entropy::SystemEntropy,
};
use transport::{
    commands::{Doctor, Failure, Shown, check_config, failed},
    observe::LogObserver,
    process::start_log,
    reload::{LOG, USUAL_LOG},
    settings::{Effective, Program, parse},
};

use self::{
    accounts::{ServiceCommand, UserCommand},
    care::{Backup, Restore},
    keys::{Audit, KeysCommand},
};

/// Evergreen's AuthService: logs users in and keeps their sessions alive.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "\
Settings, which every command takes, come from flags, else from variables (EVERGREEN_AUTH_...), else
from a TOML file (--config FILE), else they are the defaults. A flag's name with underscores is its
key in the file: access_token_ttl = \"5m\".

Examples:
  auth-service serve --config /etc/evergreen/auth.toml
  auth-service serve --help                          every setting, and its default
  auth-service check-config --print-config           the settings as they come out, as such a file
  auth-service doctor                                what is wrong here, and how to mend it
  auth-service user create --admin ada               asks for a password
  auth-service backup /backups/auth.db               while the service runs"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT, then let the calls under way end
    Serve(Shown<Settings>),
    /// Bring the database to this program's schema, and end
    Migrate(Settings),
    /// Check the settings without touching anything
    CheckConfig(Shown<Settings>),
    Doctor(Doctor<Settings>),
    Backup(Backup),
    Restore(Restore),
    /// Show the newest security events, newest first
    Audit(Audit),
    /// Work on signing keys (with the embedded database, while the service is stopped)
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Work on users (with the embedded database, while the service is stopped)
    #[command(subcommand)]
    User(UserCommand),
    /// Work on service accounts (with the embedded database, while the service is stopped)
    #[command(subcommand)]
    Service(ServiceCommand),
}

/// What every command takes.
#[derive(Args)]
struct Settings {
    /// A TOML file of settings; flags and variables win over it
    #[arg(id = "config", long = "config", env = "EVERGREEN_AUTH_CONFIG", value_name = "FILE")]
    _file: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Settings")]
    config: Config,
}

/// Does what the command line says.
pub(crate) async fn run() -> ExitCode {
    // The variable of the command line's clients begins alike.
    let program = Program::of::<Config>(NAME, "EVERGREEN_AUTH_", &["EVERGREEN_AUTH_URL"]);
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
        Command::Audit(audit) => audit.run().await,
        Command::Keys(keys) => keys.run().await,
        Command::User(user) => user.run().await,
        Command::Service(service) => service.run().await,
    }
    .map(|()| ExitCode::SUCCESS)
}

async fn open(config: Config) -> Result<Server, Failure> {
    let clock = Arc::new(SystemClock::new());
    Ok(Server::open(config, clock, Arc::new(SystemEntropy), Arc::new(LogObserver)).await?)
}

fn time(at: Timestamp) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_millis(at.into())
}

const NAME: &str = "auth-service";
