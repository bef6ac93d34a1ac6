//! `evergreen register`.

use clap::Args;

use super::{
    login::{Store, signing_in},
    password::Source,
};
use crate::{common::Common, errors::Error};

/// Make an account, and log in.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen register ada
  printf '%s\\n' \"$PASSWORD\" | evergreen register ada --password-stdin")]
pub(crate) struct Register {
    /// Who: letters, digits, and . _ - @ + inside
    username: String,

    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,

    #[command(flatten)]
    store: Store,

    #[command(flatten)]
    pub(crate) common: Common,
}

impl Register {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open_at(self.store.place).await?;
        let source = Source::new(self.password_stdin);
        let password = source.read_new(&format!("New password of {}", self.username))?;
        signing_in(&context, context.session.register(self.username, password)).await
    }
}
