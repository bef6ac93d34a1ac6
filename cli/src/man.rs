//! `evergreen man`.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::{lab::Failure, paint};

/// Write the manual.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  evergreen man | man -l -
  evergreen man --dir ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// A page for each command into this directory, instead of one page to standard output
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, command: Command) -> Result<(), Failure> {
        match self.dir {
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(command).render(&mut page)?;
                Ok(paint::verbatim(&page)?)
            }
            Some(dir) => {
                std::fs::create_dir_all(&dir)?;
                Ok(clap_mangen::generate_to(command, dir)?)
            }
        }
    }
}
