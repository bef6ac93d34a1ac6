//! `evergreen whoami`.

use clap::Args;
use serde_json::json;

use crate::{common::Common, errors::Error};

/// Show who is logged in.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen whoami
  evergreen whoami --json | jq -r .roles[]")]
pub(crate) struct Whoami {
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Whoami {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        let who = context.session.verify().await?;
        let value = json!({
            "userId": who.user_id,
            "username": who.username,
            "roles": who.roles,
            "sessionId": who.session_id,
            "profile": context.profile.name.as_str(),
        });
        context.out.done(&value, &format!("{} ({})", who.username, who.roles.join(", ")))
    }
}
