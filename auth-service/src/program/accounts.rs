//! Users and service accounts.

use std::time::Duration;

use auth_service::{ServiceCredentials, UserKind};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use transport::commands::{Failure, say};

use super::{Settings, open, password};

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Create a user, who may write what is theirs, and with --admin administer
    ///
    /// The password is asked for on the terminal, twice and without echo, or read from standard
    /// input:
    ///
    ///   auth-service user create --admin ada
    ///
    ///   pass show evergreen/ada | auth-service user create --admin ada --password-stdin
    #[command(verbatim_doc_comment)]
    Create(CreateUser),
    /// Bar a user from logging in, and end all their sessions
    Disable(DisableUser),
    /// Let a user log in again; ended sessions stay ended
    Enable(NamedUser),
    /// Forgive a user's failed logins, so that they need not wait before the next one
    Unlock(NamedUser),
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
pub(super) enum ServiceCommand {
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
pub(super) struct CreateUser {
    /// Their name
    username: String,
    /// Make them an administrator
    #[arg(long)]
    admin: bool,
    /// Read the password from standard input, which is one line
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(super) struct DisableUser {
    /// Their name
    username: String,
    /// Even if they are the last administrator
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(super) struct NamedUser {
    /// Their name
    username: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(super) struct SetRoles {
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
    settings: Settings,
}

#[derive(Args)]
pub(super) struct CreateService {
    /// Its name
    name: String,
    /// What it may do: viewer, editor or admin; may be given several times [default: nothing but
    /// what every service may]
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(super) struct RotateSecret {
    /// Its name
    name: String,
    /// How long the old secret stays good; at most 30 days, and 0s ends it at once with every other
    /// one that is still good
    #[arg(long, default_value = "1d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Duration,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(super) struct NamedService {
    /// Its name
    name: String,
    #[command(flatten)]
    settings: Settings,
}

impl UserCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(user) => user.run().await,
            Self::Disable(user) => {
                set_enabled(user.settings, &user.username, false, user.force).await
            }
            Self::Enable(user) => set_enabled(user.settings, &user.username, true, false).await,
            Self::Unlock(user) => user.unlock().await,
            Self::Roles(roles) => roles.run().await,
        }
    }
}

impl CreateUser {
    async fn run(self) -> Result<(), Failure> {
        let password = password::new(&self.username, self.password_stdin)?;
        let kind = if self.admin { UserKind::Admin } else { UserKind::Editor };
        let server = open(self.settings.config).await?;
        let made = server.create_user(&self.username, password.expose_secret(), kind).await;
        server.close().await;
        say(&format!("{} is {kind} {}", self.username, made?));
        Ok(())
    }
}

async fn set_enabled(
    settings: Settings,
    username: &str,
    enabled: bool,
    force: bool,
) -> Result<(), Failure> {
    let server = open(settings.config).await?;
    let changed = server.set_enabled(username, enabled, force).await;
    server.close().await;
    say_state(username, state(enabled), changed?);
    Ok(())
}

impl NamedUser {
    async fn unlock(self) -> Result<(), Failure> {
        let server = open(self.settings.config).await?;
        let changed = server.unlock_user(&self.username).await;
        server.close().await;
        say_state(&self.username, "unlocked", changed?);
        Ok(())
    }
}

impl SetRoles {
    async fn run(self) -> Result<(), Failure> {
        let server = open(self.settings.config).await?;
        let changed = server.set_roles(&self.username, &self.roles, self.force).await;
        server.close().await;
        let roles = if self.none { "without a role".to_owned() } else { self.roles.join(", ") };
        say_state(&self.username, &roles, changed?);
        Ok(())
    }
}

impl ServiceCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(service) => service.run().await,
            Self::RotateSecret(service) => service.run().await,
            Self::Disable(service) => service.set_enabled(false).await,
            Self::Enable(service) => service.set_enabled(true).await,
        }
    }
}

impl CreateService {
    async fn run(self) -> Result<(), Failure> {
        let server = open(self.settings.config).await?;
        let made = server.create_service(&self.name, &self.roles).await;
        server.close().await;
        show_credentials(&made?);
        Ok(())
    }
}

impl RotateSecret {
    async fn run(self) -> Result<(), Failure> {
        let server = open(self.settings.config).await?;
        let made = server.rotate_service_secret(&self.name, Some(self.overlap)).await;
        server.close().await;
        show_credentials(&made?);
        Ok(())
    }
}

impl NamedService {
    async fn set_enabled(self, enabled: bool) -> Result<(), Failure> {
        let server = open(self.settings.config).await?;
        let changed = server.set_service_enabled(&self.name, enabled).await;
        server.close().await;
        say_state(&self.name, state(enabled), changed?);
        Ok(())
    }
}

const fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

fn say_state(name: &str, state: &str, changed: bool) {
    let already = if changed { "" } else { " already" };
    say(&format!("{name} is {state}{already}"));
}

/// The one time that the secret is shown.
fn show_credentials(made: &ServiceCredentials) {
    say(&format!("client_id      {}", made.client_id));
    say(&format!("client_secret  {}", made.client_secret.expose_secret()));
}
