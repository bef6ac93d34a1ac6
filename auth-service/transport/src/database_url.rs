//! The URL of a PostgreSQL database, as a setting.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;

use crate::config::ConfigError;

/// `postgres://user:password@host:5432/database?sslmode=verify-full`. It may hold a password, so it
/// is never shown, not even where it cannot be read: it is checked with the other settings, and not
/// by the parser of the command line, which repeats what it refuses.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// How to connect.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if it is no URL of a PostgreSQL database.
    pub fn options(&self) -> Result<PgConnectOptions, ConfigError> {
        let url = self.0.expose_secret();
        let refused = |why: &str| {
            let mend = "must look like postgres://user:password@host:5432/database";
            ConfigError::new("--database-url", format!("{mend} ({why})"))
        };
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(refused("it has another scheme"));
        }
        let options: PgConnectOptions =
            url.parse().map_err(|error: sqlx::Error| refused(&error.to_string()))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(refused("it names no database"));
        }
        Ok(options)
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned().into())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_postgres_database_and_keeps_its_password() {
        let url = DatabaseUrl::from("postgres://ada:hush@db.internal:5433/sessions");
        assert!(!format!("{url:?}").contains("hush"));
        assert_eq!(url.options().unwrap().get_port(), 5433);
        for bad in
            ["", "sessions", "mysql://ada:hush@db/x", "postgres://ada:hush@db", "postgres://"]
        {
            let error = DatabaseUrl::from(bad).options().unwrap_err().to_string();
            assert!(error.starts_with("--database-url"), "{bad}: {error}");
            assert!(error.contains("postgres://user") && !error.contains("hush"), "{bad}: {error}");
        }
    }
}
