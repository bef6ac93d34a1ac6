//! The `auth-service` binary.

use std::{io::Write as _, process::ExitCode, sync::Arc};

use auth_service::{Config, Server, UserKind};
use clap::{Args, Parser, Subcommand};
use token::{clock::SystemClock, entropy::SystemEntropy};
use transport::{
    observe::LogObserver,
    process::{start_log, stop_signal},
    serve::bind,
};

/// Evergreen's AuthService: logs users in and keeps their sessions alive.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT, then let the calls under way end
    Serve(Config),
    /// Bring the database to this program's schema, and end
    Migrate(Config),
    /// Check the settings without touching anything
    CheckConfig(Config),
    /// Work on users while the service is stopped
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(Subcommand)]
enum UserCommand {
    /// Create a user; the password is read from standard input
    Create(CreateUser),
}

#[derive(Args)]
struct CreateUser {
    /// Their name
    username: String,
    /// Make them an administrator
    #[arg(long)]
    admin: bool,
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> ExitCode {
    start_log("info");
    let done = match Cli::parse().command {
        Command::Serve(config) => serve(config).await,
        Command::Migrate(config) => open(config).await.map(|_| say("the database is up to date")),
        Command::CheckConfig(config) => {
            config.validate().map_err(Into::into).map(|()| say("the settings are sound"))
        }
        Command::User(UserCommand::Create(user)) => create_user(user).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "auth-service: {error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

async fn open(config: Config) -> Result<Server, Failure> {
    let clock = Arc::new(SystemClock::new());
    Ok(Server::open(config, clock, Arc::new(SystemEntropy), Arc::new(LogObserver)).await?)
}

async fn serve(config: Config) -> Result<(), Failure> {
    // Asked for first, so that a signal during the start is not lost.
    let stop = stop_signal()?;
    let listener = bind("--listen", config.listen, config.insecure).await?;
    let address = listener.local_addr()?;
    let server = open(config).await?;
    say(&format!("AuthService is ready on {address}"));
    Ok(server.run(listener, stop).await?)
}

async fn create_user(user: CreateUser) -> Result<(), Failure> {
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    let password = password.trim_end_matches(['\r', '\n']);
    let kind = if user.admin { UserKind::Admin } else { UserKind::Editor };
    let id = open(user.config).await?.create_user(&user.username, password, kind).await?;
    say(&format!("{} is {kind} {id}", user.username));
    Ok(())
}

fn say(line: &str) {
    // A closed standard output is no reason to stop serving.
    let _ = writeln!(std::io::stdout(), "{line}");
}
