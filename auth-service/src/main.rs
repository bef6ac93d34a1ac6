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
    /// Show the newest security events, newest first
    Audit(Audit),
    /// Work on users (with the embedded database, while the service is stopped)
    #[command(subcommand)]
    User(UserCommand),
}

#[derive(Subcommand)]
enum UserCommand {
    /// Create a user; the password is read from standard input
    Create(CreateUser),
    /// Bar a user from logging in, and end all their sessions
    Disable(NamedUser),
    /// Let a user log in again; ended sessions stay ended
    Enable(NamedUser),
}

#[derive(Args)]
struct NamedUser {
    /// Their name
    username: String,
    #[command(flatten)]
    config: Config,
}

#[derive(Args)]
struct Audit {
    /// How many events at the most
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    #[command(flatten)]
    config: Config,
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
        Command::Migrate(config) => migrate(config).await,
        Command::CheckConfig(config) => {
            config.validate().map_err(Into::into).map(|()| say("the settings are sound"))
        }
        Command::Audit(audit) => show_audit(audit).await,
        Command::User(UserCommand::Create(user)) => create_user(user).await,
        Command::User(UserCommand::Disable(user)) => set_enabled(user, false).await,
        Command::User(UserCommand::Enable(user)) => set_enabled(user, true).await,
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

async fn migrate(config: Config) -> Result<(), Failure> {
    open(config).await?.close().await;
    say("the database is up to date");
    Ok(())
}

async fn show_audit(audit: Audit) -> Result<(), Failure> {
    let server = open(audit.config).await?;
    let events = server.newest_audit_events(audit.limit).await?;
    server.close().await;
    let absent = || "-".to_owned();
    say(&format!(
        "{:<24}  {:<18}  {:<36}  {:<36}  {:<15}  DEVICE",
        "TIME", "EVENT", "USER", "SESSION", "ADDRESS"
    ));
    for event in events {
        let millis = u64::try_from(event.time.unix_millis()).unwrap_or_default();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis);
        say(&format!(
            "{:<24}  {:<18}  {:<36}  {:<36}  {:<15}  {}",
            humantime::format_rfc3339_millis(time),
            event.kind,
            event.user_id.unwrap_or_else(absent),
            event.session_id.unwrap_or_else(absent),
            event.address.map_or_else(absent, |address| address.to_string()),
            event.device,
        ));
    }
    Ok(())
}

async fn set_enabled(user: NamedUser, enabled: bool) -> Result<(), Failure> {
    let server = open(user.config).await?;
    let changed = server.set_enabled(&user.username, enabled).await?;
    server.close().await;
    let state = if enabled { "enabled" } else { "disabled" };
    let already = if changed { "" } else { " already" };
    say(&format!("{} is {state}{already}", user.username));
    Ok(())
}

async fn create_user(user: CreateUser) -> Result<(), Failure> {
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    let password = password.trim_end_matches(['\r', '\n']);
    let kind = if user.admin { UserKind::Admin } else { UserKind::Editor };
    let server = open(user.config).await?;
    let id = server.create_user(&user.username, password, kind).await?;
    server.close().await;
    say(&format!("{} is {kind} {id}", user.username));
    Ok(())
}

fn say(line: &str) {
    // A closed standard output is no reason to stop serving.
    let _ = writeln!(std::io::stdout(), "{line}");
}
