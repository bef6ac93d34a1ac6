//! `evergreen passwd`.

use clap::Args;
use serde_json::json;

use super::password::Source;
use crate::{common::Common, errors::Error};

/// Change your password. Your other sessions end.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen passwd
  printf '%s\\n%s\\n' \"$OLD\" \"$NEW\" | evergreen passwd --password-stdin")]
pub(crate) struct Passwd {
    /// Read two lines from standard input: the old password, and the new one
    #[arg(long)]
    password_stdin: bool,

    #[command(flatten)]
    pub(crate) common: Common,
}

impl Passwd {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        let who = context.session.verify().await?;
        let source = Source::new(self.password_stdin);
        let old = source.read(&format!("Old password of {}", who.username))?;
        let new = source.read_new("New password")?;
        context.session.change_password(old, new).await?;
        let sentence = "The password is changed. Your other sessions have ended.";
        context.out.done(&json!({ "username": who.username }), sentence)
    }
}
