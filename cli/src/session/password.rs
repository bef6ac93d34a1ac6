//! How passwords are asked for: on the terminal without echo, or from a pipe.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use secrecy::{ExposeSecret as _, SecretString};

use crate::errors::{Error, Exit};

/// Where passwords come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Stdin,
    Terminal,
}

impl Source {
    /// Standard input if that was asked for.
    pub(crate) const fn new(stdin: bool) -> Self {
        if stdin { Self::Stdin } else { Self::Terminal }
    }

    /// The next password: a line of standard input, or what is typed after `prompt`.
    pub(super) fn read(self, prompt: &str) -> Result<SecretString, Error> {
        let text = match self {
            Self::Stdin => line()?,
            Self::Terminal if !io::stdin().is_terminal() => {
                return Err(Error::new(Exit::Usage, "There is no terminal to ask for a password.")
                    .then("Give it on standard input: `--password-stdin`."));
            }
            Self::Terminal => rpassword::prompt_password(format!("{prompt}: "))
                .map_err(|e| Error::new(Exit::Failure, format!("cannot read the password: {e}")))?,
        };
        if text.is_empty() {
            return Err(Error::invalid("The password is empty."));
        }
        Ok(text.into())
    }

    /// A new password: typed twice on a terminal.
    pub(crate) fn read_new(self, prompt: &str) -> Result<SecretString, Error> {
        let password = self.read(prompt)?;
        if let Self::Terminal = self {
            let again = self.read("Once more")?;
            if again.expose_secret() != password.expose_secret() {
                return Err(Error::invalid("The two passwords differ. Nothing was changed."));
            }
        }
        Ok(password)
    }
}

/// Asks for a user name on the terminal.
pub(super) fn ask_username() -> Result<String, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::new(Exit::Usage, "No user name was given.")
            .then("Name the user: `evergreen login USERNAME`."));
    }
    let mut screen = io::stderr();
    // A prompt that cannot be shown is no reason not to read.
    let _ = write!(screen, "User name: ").and_then(|()| screen.flush());
    line().map(|name| name.trim().to_owned())
}

/// One line of standard input, without its end. What was read with it stays in the buffer.
fn line() -> Result<String, Error> {
    let mut text = String::new();
    let read = io::stdin().lock().read_line(&mut text);
    read.map_err(|e| Error::new(Exit::Failure, format!("cannot read standard input: {e}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
