//! The `auth-service` binary.

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Duration};

use auth_service::{Config, Server, ServiceCredentials, UserKind};
use clap::{Args, Parser, Subcommand};
use secrecy::ExposeSecret as _;
use token::{
    clock::{SystemClock, Timestamp},
    entropy::SystemEntropy,
};
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

#[derive(Subcommand)]
enum UserCommand {
    /// Create a user; the password is read from standard input
    Create(CreateUser),
    /// Bar a user from logging in, and end all their sessions
    Disable(DisableUser),
    /// Let a user log in again; ended sessions stay ended
    Enable(NamedUser),
    /// Replace what a user may do
    ///
    /// Access tokens with the old roles are stale within a second wherever revocations are followed;
    /// no session ends. The roles are those that the user has from now on, not those to be added:
    ///
    ///   auth-service user roles ada editor admin
    ///
    ///   auth-service user roles ada --none
    #[command(verbatim_doc_comment)]
    Roles(SetRoles),
}

#[derive(Subcommand)]
enum ServiceCommand {
    /// Create a service account, and show its client id and its secret
    Create(CreateService),
    /// Give a service account a new secret, and show it
    RotateSecret(RotateSecret),
    /// Bar a service from logging in, and its access tokens from being used
    Disable(NamedService),
    /// Let a service log in again
    Enable(NamedService),
}

#[derive(Args)]
struct CreateService {
    /// Its name
    name: String,
    /// What it may do: viewer, editor or admin; may be given several times [default: nothing but
    /// what every service may]
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    config: Config,
}

#[derive(Args)]
struct RotateSecret {
    /// Its name
    name: String,
    /// How long the old secret stays good; at most 30 days, and 0s ends it at once with every other
    /// one that is still good
    #[arg(long, default_value = "1d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Duration,
    #[command(flatten)]
    config: Config,
}

#[derive(Args)]
struct NamedService {
    /// Its name
    name: String,
    #[command(flatten)]
    config: Config,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// List the signing keys, newest first
    List(Config),
    /// Start the change to a new signing key, which a running service completes
    Rotate(RotateKey),
}

#[derive(Args)]
struct RotateKey {
    /// This key is known to others: withdraw it at once with the ones that sign now and next, and
    /// with every token that they signed; see `keys list`. Once more does nothing
    #[arg(long, value_name = "KID")]
    compromised: Option<String>,
    #[command(flatten)]
    config: Config,
}

#[derive(Args)]
struct DisableUser {
    /// Their name
    username: String,
    /// Even if they are the last administrator
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Args)]
struct SetRoles {
    /// Their name
    username: String,
    /// viewer reads; editor also writes what is theirs; admin administers
    #[arg(value_name = "ROLE", required_unless_present = "none",
          value_parser = ["viewer", "editor", "admin"])]
    roles: Vec<String>,
    /// Take every role away
    #[arg(long, conflicts_with = "roles")]
    none: bool,
    /// Even if it leaves nobody who administers
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    config: Config,
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
        Command::Keys(KeysCommand::List(config)) => list_keys(config).await,
        Command::Keys(KeysCommand::Rotate(rotate)) => rotate_key(rotate).await,
        Command::User(UserCommand::Create(user)) => create_user(user).await,
        Command::User(UserCommand::Disable(user)) => disable_user(user).await,
        Command::User(UserCommand::Enable(user)) => enable_user(user).await,
        Command::User(UserCommand::Roles(roles)) => set_roles(roles).await,
        Command::Service(ServiceCommand::Create(service)) => create_service(service).await,
        Command::Service(ServiceCommand::RotateSecret(service)) => rotate_secret(service).await,
        Command::Service(ServiceCommand::Disable(service)) => {
            set_service_enabled(service, false).await
        }
        Command::Service(ServiceCommand::Enable(service)) => {
            set_service_enabled(service, true).await
        }
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
    let operations = match config.ops_listen {
        Some(address) => Some(bind("--ops-listen", address, config.insecure).await?),
        None => None,
    };
    let mut server = open(config).await?;
    say(&format!("AuthService is ready on {address}"));
    if let Some(operations) = operations {
        say(&format!("Operations are served on {}", operations.local_addr()?));
        server = server.with_operations(operations);
    }
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
    let line = |columns: [String; 8]| {
        let [time, event, account, session, address, actor, detail, device] = columns;
        say(&format!(
            "{time:<24}  {event:<23}  {account:<36}  {session:<36}  {address:<15}  {actor:<44}  \
             {detail:<43}  {device}"
        ));
    };
    let titles = ["TIME", "EVENT", "ACCOUNT", "SESSION", "ADDRESS", "ACTOR", "DETAIL", "DEVICE"];
    line(titles.map(str::to_owned));
    for event in events {
        line([
            time(event.time).to_string(),
            event.kind.to_owned(),
            event.account_id.unwrap_or_else(absent),
            event.session_id.unwrap_or_else(absent),
            event.address.map_or_else(absent, |address| address.to_string()),
            event.actor.unwrap_or_else(absent),
            Some(event.detail).filter(|detail| !detail.is_empty()).unwrap_or_else(absent),
            event.device,
        ]);
    }
    Ok(())
}

async fn list_keys(config: Config) -> Result<(), Failure> {
    let server = open(config).await?;
    let keys = server.signing_keys().await?;
    server.close().await;
    say(&format!("{:<43}  {:<8}  {:<24}  {:<24}", "KEY", "STATE", "SINCE", "MADE"));
    for key in keys {
        let (since, made) = (time(key.state_time), time(key.create_time));
        say(&format!("{:<43}  {:<8}  {since:<24}  {made:<24}", key.kid, key.state));
    }
    Ok(())
}

async fn rotate_key(rotate: RotateKey) -> Result<(), Failure> {
    let server = open(rotate.config).await?;
    let compromised = rotate.compromised.as_deref();
    let key = server.rotate_signing_key(compromised).await?;
    server.close().await;
    let when = if compromised.is_some() { "now" } else { "next, once verifiers know it" };
    say(&format!("{} signs {when}", key.kid));
    Ok(())
}

fn time(at: Timestamp) -> humantime::Rfc3339Timestamp {
    let millis = u64::try_from(at.unix_millis()).unwrap_or_default();
    let at = std::time::UNIX_EPOCH + Duration::from_millis(millis);
    humantime::format_rfc3339_millis(at)
}

async fn disable_user(user: DisableUser) -> Result<(), Failure> {
    let server = open(user.config).await?;
    let changed = server.set_enabled(&user.username, false, user.force).await;
    server.close().await;
    say_state(&user.username, "disabled", changed?);
    Ok(())
}

async fn enable_user(user: NamedUser) -> Result<(), Failure> {
    let server = open(user.config).await?;
    let changed = server.set_enabled(&user.username, true, false).await;
    server.close().await;
    say_state(&user.username, "enabled", changed?);
    Ok(())
}

async fn set_roles(set: SetRoles) -> Result<(), Failure> {
    let server = open(set.config).await?;
    let changed = server.set_roles(&set.username, &set.roles, set.force).await;
    server.close().await;
    let roles = if set.none { "without a role".to_owned() } else { set.roles.join(", ") };
    say_state(&set.username, &roles, changed?);
    Ok(())
}

fn say_state(name: &str, state: &str, changed: bool) {
    let already = if changed { "" } else { " already" };
    say(&format!("{name} is {state}{already}"));
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

async fn create_service(service: CreateService) -> Result<(), Failure> {
    let server = open(service.config).await?;
    let made = server.create_service(&service.name, &service.roles).await?;
    server.close().await;
    show_credentials(&made);
    Ok(())
}

async fn rotate_secret(service: RotateSecret) -> Result<(), Failure> {
    let server = open(service.config).await?;
    let made = server.rotate_service_secret(&service.name, Some(service.overlap)).await?;
    server.close().await;
    show_credentials(&made);
    Ok(())
}

async fn set_service_enabled(service: NamedService, enabled: bool) -> Result<(), Failure> {
    let server = open(service.config).await?;
    let changed = server.set_service_enabled(&service.name, enabled).await?;
    server.close().await;
    say_state(&service.name, if enabled { "enabled" } else { "disabled" }, changed);
    Ok(())
}

/// The one time that the secret is shown.
fn show_credentials(made: &ServiceCredentials) {
    say(&format!("client_id      {}", made.client_id));
    say(&format!("client_secret  {}", made.client_secret.expose_secret()));
}

fn say(line: &str) {
    // A closed standard output is no reason to stop serving.
    let _ = writeln!(std::io::stdout(), "{line}");
}
