//! `evergreen admin`.

mod audit;
mod keys;
mod role;
mod services;
mod users;

use clap::{Args, Subcommand};
use client_sdk::Reauth;
use evergreen_proto::auth::v1::admin_service_client::AdminServiceClient;
use tonic::transport::Channel;

use crate::{
    common::{Common, Context},
    errors::Error,
};

/// Users, services, signing keys, and what happened to them. For administrators.
///
/// A user is named by their name, whatever its case, or by their id; a service by its client id.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen admin users list --status disabled
  evergreen admin users create ada --role editor
  evergreen admin services create worker --role viewer
  evergreen admin keys rotate
  evergreen admin audit list --user ada --since 24h")]
pub(crate) struct Admin {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Audit(audit::Audit),
    Keys(keys::Keys),
    Services(services::Services),
    Users(users::Users),
}

impl Admin {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        let admin = client(&context)?;
        match self.command {
            Command::Audit(audit) => audit.run(&context, admin).await,
            Command::Keys(keys) => keys.run(&context, admin).await,
            Command::Services(services) => services.run(&context, admin).await,
            Command::Users(users) => users.run(&context, admin).await,
        }
    }
}

/// A client of AdminService that calls as the profile's session.
type Client = AdminServiceClient<Reauth<Channel>>;

fn client(context: &Context) -> Result<Client, Error> {
    Ok(AdminServiceClient::new(context.session.auth_channel()?))
}
