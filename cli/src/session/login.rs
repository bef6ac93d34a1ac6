//! `evergreen login`.

use clap::Args;
use client_sdk::Event;
use serde_json::json;

use super::password::{self, Source};
use crate::{
    common::{Common, Context},
    errors::{Error, Exit},
    profile::Settings,
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
  pass show evergreen | evergreen login ada --password-stdin")]
pub(crate) struct Login {
    /// Who; asked for, if it is not given
    username: Option<String>,

    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,

    #[command(flatten)]
    pub(crate) common: Common,
}

impl Login {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
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
    context.profile.remember(&settings)?;
    let value = json!({
        "userId": who.user_id,
        "username": who.username,
        "roles": who.roles,
        "sessionId": who.session_id,
        "profile": context.profile.name.as_str(),
    });
    context.out.done(&value, &format!("Logged in as {} ({}).", who.username, who.roles.join(", ")))
}
