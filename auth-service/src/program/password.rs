//! A new password: typed without echo, or a line of standard input.

use std::io::{self, BufRead as _, IsTerminal as _};

use secrecy::{ExposeSecret as _, SecretString};
use transport::commands::Failure;

/// A password for `username`, from standard input if `stdin`.
pub(super) fn new(username: &str, stdin: bool) -> Result<SecretString, Failure> {
    let password = if stdin { line()? } else { typed(username)? };
    if password.expose_secret().is_empty() {
        return Err("the password is empty; nothing was changed".into());
    }
    Ok(password)
}

fn typed(username: &str) -> Result<SecretString, Failure> {
    if !io::stdin().is_terminal() {
        return Err("there is no terminal to ask for a password; give it as a line of standard \
                    input, with --password-stdin"
            .into());
    }
    let ask = |prompt: String| rpassword::prompt_password(prompt).map(SecretString::from);
    let password = ask(format!("Password of {username}: "))?;
    let again = ask("Once more: ".to_owned())?;
    if again.expose_secret() != password.expose_secret() {
        return Err("the two passwords differ; nothing was changed".into());
    }
    Ok(password)
}

fn line() -> io::Result<SecretString> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).into())
}
