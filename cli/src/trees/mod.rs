//! `evergreen trees`.

pub(crate) mod content;
mod draw;
mod edit;
mod editor;
mod export;
mod history;
mod import;
mod jsonl;
mod list;
mod mv;
mod new;
mod restore;
mod rm;
mod rollback;
mod search;
mod show;
mod watch;

use clap::{Args, Subcommand};

use crate::{common::Common, errors::Error};

/// Decision and troubleshooting trees.
///
/// A tree is named by its id, by the beginning of its id, or by its title.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen trees list --folder /IT --status published
  evergreen trees show \"Printer does not print\"
  evergreen trees new \"Printer does not print\" --folder /IT --tag printer
  evergreen trees edit \"Printer does not print\"
  evergreen trees search printer jam
  evergreen trees export > trees.jsonl && evergreen trees import trees.jsonl")]
pub(crate) struct Trees {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    New(new::New),
    Edit(edit::Edit),
    Mv(mv::Mv),
    Rm(rm::Rm),
    Restore(restore::Restore),
    Search(search::Search),
    History(history::History),
    Rollback(rollback::Rollback),
    Import(import::Import),
    Export(export::Export),
    Watch(watch::Watch),
}

impl Trees {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        match self.command {
            Command::List(list) => list.run(&context).await,
            Command::Show(show) => show.run(&context).await,
            Command::New(new) => new.run(&context).await,
            Command::Edit(edit) => edit.run(&context).await,
            Command::Mv(mv) => mv.run(&context).await,
            Command::Rm(rm) => rm.run(&context).await,
            Command::Restore(restore) => restore.run(&context).await,
            Command::Search(search) => search.run(&context).await,
            Command::History(history) => history.run(&context).await,
            Command::Rollback(rollback) => rollback.run(&context).await,
            Command::Import(import) => import.run(&context).await,
            Command::Export(export) => export.run(&context).await,
            Command::Watch(watch) => watch.run(&context).await,
        }
    }
}
