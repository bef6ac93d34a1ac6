//! How a program says which setting is wrong.

use std::{fmt, fs, net::IpAddr, path::Path};

use secrecy::SecretString;

/// A setting that cannot be what it is, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The flag that sets it.
    pub setting: &'static str,
    /// What to do.
    pub mend: String,
}

impl ConfigError {
    /// `setting` cannot be what it is.
    #[must_use]
    pub fn new(setting: &'static str, mend: impl Into<String>) -> Self {
        Self { setting, mend: mend.into() }
    }

    /// Two settings say the same.
    #[must_use]
    pub fn both(setting: &'static str, other: &'static str) -> Self {
        Self::new(setting, format!("must not be given beside {other}: which of the two counts?"))
    }
}

/// The secret in the file that `setting` names: all of it, but for one line end behind it.
///
/// # Errors
///
/// [`ConfigError`], if it cannot be read.
pub fn read_secret(setting: &'static str, file: &Path) -> Result<SecretString, ConfigError> {
    let text = fs::read_to_string(file).map_err(|error| {
        let mend = format!("{}: {error}; check that this user may read it", file.display());
        ConfigError::new(setting, mend)
    })?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    Ok(secret.strip_suffix('\r').unwrap_or(secret).into())
}

/// Whether a URL's host is this machine, as far as its text tells.
///
/// ```
/// use transport::config::is_loopback;
///
/// assert!(is_loopback("localhost") && is_loopback("[::1]") && !is_loopback("auth.example"));
/// ```
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.mend)
    }
}

impl std::error::Error for ConfigError {}
