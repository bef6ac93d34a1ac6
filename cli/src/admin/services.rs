//! `evergreen admin services`.

use std::time::Duration;

use clap::{Args, Subcommand};
use evergreen_proto::auth::v1::{
    CreateServiceAccountRequest, DisableServiceAccountRequest, EnableServiceAccountRequest,
    RotateServiceSecretRequest,
};
use serde_json::json;

use super::{
    Client,
    role::{self, Role},
};
use crate::{common::Context, errors::Error};

/// Accounts of services, which log in with a secret
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen admin services create worker --role viewer
  (umask 077; evergreen admin services create worker --json > worker.json)
  evergreen admin services rotate-secret 0192f0c1-7f3a-7c4e-9d21-6a1c1f0b5e11 --overlap 2h
  evergreen admin services disable 0192f0c1-7f3a-7c4e-9d21-6a1c1f0b5e11")]
pub(super) struct Services {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an account, and show its secret this once
    Create {
        /// As a user name, and unique among services
        name: String,

        /// What it may do; several times for several, and without it nothing but to follow
        /// revocations and to introspect tokens
        #[arg(long = "role", value_enum, value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Give a service a new secret, and show it this once
    RotateSecret {
        client_id: String,

        /// How long the old secret stays good, such as 2h; 0s ends every other one at once
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "1d")]
        overlap: Duration,
    },
    /// Bar a service from logging in; its access tokens are good no longer
    Disable { client_id: String },
    /// Let a service log in again
    Enable { client_id: String },
}

impl Services {
    pub(super) async fn run(self, context: &Context, mut admin: Client) -> Result<(), Error> {
        match self.command {
            Command::Create { name, roles } => {
                let request =
                    CreateServiceAccountRequest { name: name.clone(), roles: role::names(&roles) };
                let made = admin.create_service_account(request).await?.into_inner();
                let what = format!("Created the service {name}.");
                shown(context, &what, &made.client_id, &made.client_secret)
            }
            Command::RotateSecret { client_id, overlap } => {
                let overlap = prost_types::Duration::try_from(overlap)
                    .map_err(|_| Error::invalid("The overlap is too long."))?;
                let request = RotateServiceSecretRequest {
                    client_id: client_id.clone(),
                    overlap: Some(overlap),
                };
                let secret = admin.rotate_service_secret(request).await?.into_inner().client_secret;
                shown(context, "The service has a new secret.", &client_id, &secret)
            }
            Command::Disable { client_id } => {
                let request = DisableServiceAccountRequest { client_id: client_id.clone() };
                admin.disable_service_account(request).await?;
                context.out.done(&json!({ "clientId": client_id }), "The service is disabled.")
            }
            Command::Enable { client_id } => {
                let request = EnableServiceAccountRequest { client_id: client_id.clone() };
                admin.enable_service_account(request).await?;
                context.out.done(&json!({ "clientId": client_id }), "The service may log in again.")
            }
        }
    }
}

/// Shows a secret, which nobody can show again.
fn shown(context: &Context, what: &str, client_id: &str, secret: &str) -> Result<(), Error> {
    let value = json!({ "clientId": client_id, "clientSecret": secret });
    let sentence = format!(
        "{what} Keep its secret: it is shown this once.\nclient id  {client_id}\nsecret     {secret}"
    );
    context.out.done(&value, &sentence)
}
