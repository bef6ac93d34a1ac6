//! `evergreen login`.

use clap::Args;
use client_sdk::Event;
use serde_json::json;

use super::password::{self, Source};
use crate::{
    common::{Common, Context},
    errors::{Error, Exit},
    profile::{Place, Settings},
};

/// Log in, and stay so: other commands renew the session by themselves.
///
/// The servers are remembered with the session, by profile.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen login ada
  evergreen login ada --auth https://auth.example.com --api https://api.example.com
  evergreen login ada --profile work
  evergreen login ada --store keyring
  pass show evergreen | evergreen login ada --password-stdin")]
pub(crate) struct Login {
    /// Who; asked for, if it is not given
    username: Option<String>,

    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,

    #[command(flatten)]
    store: Store,

    #[command(flatten)]
    pub(crate) common: Common,
}

// No doc comment: it would become that of the command which takes this.
#[derive(Args, Debug)]
pub(super) struct Store {
    /// Where to keep the session; remembered with the profile, and a file at first
    #[arg(long = "store", value_enum, value_name = "PLACE")]
    pub(super) place: Option<Place>,
}

impl Login {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open_at(self.store.place).await?;
        let username = match self.username {
            Some(name) => name,
            None => password::ask_username()?,
        };
        let source = Source::new(self.password_stdin);
        let password = source.read(&format!("Password of {username}"))?;
        signing_in(&context, context.session.login(username, password)).await
    }
}

/// Signs in, remembers where, and says so.
pub(super) async fn signing_in(
    context: &Context,
    signing: impl Future<Output = Result<(), client_sdk::AuthenticationError>>,
) -> Result<(), Error> {
    let mut events = context.session.events();
    signing.await?;
    while let Some(event) = events.try_recv() {
        // A session that only this process holds ends with it.
        if let Event::SaveFailed { message } = event {
            return Err(Error::new(Exit::Failure, message));
        }
    }
    let who = context.session.verify().await?;
    let settings = Settings { username: Some(who.username.clone()), ..context.settings.clone() };
    let before = context.profile.settings()?.place;
    context.profile.remember(&settings)?;
    if before != settings.place {
        leave(context, before).await;
    }
    let value = json!({
        "userId": who.user_id,
        "username": who.username,
        "roles": who.roles,
        "sessionId": who.session_id,
        "profile": context.profile.name.as_str(),
    });
    context.out.done(&value, &format!("Logged in as {} ({}).", who.username, who.roles.join(", ")))
}

/// Removes the session that the profile has kept elsewhere so far. A keyring that is not there any
/// more is what one leaves it for, so this does not fail.
async fn leave(context: &Context, place: Place) {
    let left = async { place.open(&context.profile).await?.clear().await }.await;
    if left.is_err() {
        let place = place.as_str();
        context
            .out
            .note(&format!("An earlier session of this profile may still be in the {place}."));
    }
}
