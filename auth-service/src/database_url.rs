//! The URL of a PostgreSQL database, as a setting.

use std::{fmt, str::FromStr};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;

/// `postgres://user:password@host:5432/database?sslmode=verify-full`. It may hold a password, so it
/// is never shown.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

/// What is wrong with a URL; its text is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("must look like postgres://user:password@host:5432/database ({0})")]
pub struct DatabaseUrlError(String);

impl DatabaseUrl {
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.0.expose_secret().parse().expect("the URL was parsed when it was made")
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(url: &str) -> Result<Self, DatabaseUrlError> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(DatabaseUrlError("another scheme".into()));
        }
        let options: PgConnectOptions =
            url.parse().map_err(|error: sqlx::Error| DatabaseUrlError(error.to_string()))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(DatabaseUrlError("no database is named".into()));
        }
        Ok(Self(url.to_owned().into()))
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
        let url: DatabaseUrl = "postgres://ada:hush@db.internal:5433/sessions".parse().unwrap();
        assert!(!format!("{url:?}").contains("hush"));
        assert_eq!(url.options().get_port(), 5433);
        for bad in
            ["", "sessions", "mysql://ada:hush@db/x", "postgres://ada:hush@db", "postgres://"]
        {
            let error = bad.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(error.contains("postgres://user") && !error.contains("hush"), "{bad}: {error}");
        }
    }
}
