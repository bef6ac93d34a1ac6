//! `evergreen completions`.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{errors::Error, paint};

/// Print what completes this command line in a shell.
#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = "\
Examples:
  evergreen completions bash > ~/.local/share/bash-completion/completions/evergreen
  evergreen completions zsh > \"${fpath[1]}/_evergreen\"
  evergreen completions fish > ~/.config/fish/completions/evergreen.fish")]
pub(crate) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, mut command: Command) -> Result<(), Error> {
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        paint::verbatim(&script)
    }
}
