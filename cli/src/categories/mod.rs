//! `evergreen categories`.

mod edit;
mod list;
mod new;
mod rm;
mod show;

use clap::{Args, Subcommand};

use crate::{common::Common, errors::Error};

/// The organisation's shared shelf. Everybody reads it, administrators arrange it.
///
/// A category is named by its slug, its name, its id, or the beginning of its id.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen categories list
  evergreen categories new \"Printers and scanners\" --slug printers
  evergreen categories edit printers --description \"What prints\"
  evergreen categories rm printers --move-trees-to hardware")]
pub(crate) struct Categories {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Edit(edit::Edit),
    List(list::List),
    New(new::New),
    Rm(rm::Rm),
    Show(show::Show),
}

impl Categories {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        match self.command {
            Command::Edit(edit) => edit.run(&context).await,
            Command::List(list) => list.run(&context).await,
            Command::New(new) => new.run(&context).await,
            Command::Rm(rm) => rm.run(&context).await,
            Command::Show(show) => show.run(&context).await,
        }
    }
}
