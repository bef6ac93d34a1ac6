//! `evergreen folders`.

mod list;
mod mv;
mod new;
mod rename;
mod rm;
mod tree;

use clap::{Args, Subcommand};

use crate::{common::Common, errors::Error};

/// Your own folders, which nobody else sees.
///
/// A folder is named by its path (/IT/Printers), by its name if no other has it, by its id, or by the
/// beginning of its id.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen folders tree
  evergreen folders new /IT/Printers --parents
  evergreen folders mv /IT/Printers /Hardware
  evergreen folders rm /Hardware --force")]
pub(crate) struct Folders {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Mv(mv::Mv),
    New(new::New),
    Rename(rename::Rename),
    Rm(rm::Rm),
    Tree(tree::Tree),
}

impl Folders {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        match self.command {
            Command::List(list) => list.run(&context).await,
            Command::Mv(mv) => mv.run(&context).await,
            Command::New(new) => new.run(&context).await,
            Command::Rename(rename) => rename.run(&context).await,
            Command::Rm(rm) => rm.run(&context).await,
            Command::Tree(tree) => tree.run(&context).await,
        }
    }
}
