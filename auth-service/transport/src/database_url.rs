//! The URL of a PostgreSQL database, as a setting.

use std::{fmt, path::Path};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;

use crate::{
    config::{ConfigError, read_secret},
    postgres::Servers,
};

/// `postgres://user:password@host:5432/database?sslmode=verify-full`, or with several hosts,
/// `host-1:5432,host-2:5432`, of which one is the primary at a time. It may hold a password, so it is
/// never shown, not even where it cannot be read: it is checked with the other settings, and not by
/// the parser of the command line, which repeats what it refuses.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// How to connect to each of the servers that it names.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if it is no URL of a PostgreSQL database.
    pub fn servers(&self) -> Result<Servers, ConfigError> {
        let url = self.0.expose_secret();
        let refused = |why: &str| {
            let mend = "must look like postgres://user:password@host:5432/database";
            ConfigError::new("--database-url", format!("{mend} ({why})"))
        };
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(refused("it has another scheme"));
        }
        let servers = of_each_host(url).into_iter().map(|url| {
            let server: PgConnectOptions =
                url.parse().map_err(|error: sqlx::Error| refused(&error.to_string()))?;
            match server.get_database() {
                None | Some("") => Err(refused("it names no database")),
                Some(_) => Ok(server),
            }
        });
        Servers::new(servers.collect::<Result<_, _>>()?).ok_or_else(|| refused("it names no host"))
    }
}

/// A URL for each host, alike in all else.
fn of_each_host(url: &str) -> Vec<String> {
    let (before, rest) = url.split_at(url.find("://").map_or(0, |at| at + "://".len()));
    let (authority, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    hosts.split(',').map(|host| format!("{before}{user}{host}{after}")).collect()
}

/// The URL that is given, be it by itself or in a file; none if neither is.
///
/// # Errors
///
/// [`ConfigError`]: both are given, or the file cannot be read.
pub fn given(
    url: Option<&DatabaseUrl>,
    file: Option<&Path>,
) -> Result<Option<DatabaseUrl>, ConfigError> {
    match (url, file) {
        (Some(_), Some(_)) => Err(ConfigError::both("--database-url-file", "--database-url")),
        (Some(url), None) => Ok(Some(url.clone())),
        (None, Some(file)) => {
            let secret = read_secret("--database-url-file", file)?;
            Ok(Some(DatabaseUrl(secret)))
        }
        (None, None) => Ok(None),
    }
}

/// A secret as it may be shown: of a URL all but its passwords, of anything else nothing.
#[must_use]
pub fn redacted(secret: &str) -> String {
    let Some((scheme, rest)) = secret.split_once("://") else { return REDACTED.to_owned() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    // A password that is not escaped may hold any of these, the mark of a query too.
    if query.is_some_and(|query| query.contains('@')) {
        return REDACTED.to_owned();
    }
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, rest),
    };
    let user = user.map(|user| match user.split_once(':') {
        Some((name, _)) => format!("{name}:{REDACTED}@"),
        None => format!("{user}@"),
    });
    let query = query.map(|query| {
        let shown = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name @ ("password" | "sslkey" | "ssl-key"), _)) => format!("{name}={REDACTED}"),
            _ => pair.to_owned(),
        });
        format!("?{}", shown.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{}{host}{}", user.unwrap_or_default(), query.unwrap_or_default())
}

/// What stands where a secret was.
pub const REDACTED: &str = "<redacted>";

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
        assert_eq!(url.servers().unwrap().shown(), "db.internal:5433");
        for bad in
            ["", "sessions", "mysql://ada:hush@db/x", "postgres://ada:hush@db", "postgres://"]
        {
            let error = DatabaseUrl::from(bad).servers().unwrap_err().to_string();
            assert!(error.starts_with("--database-url"), "{bad}: {error}");
            assert!(error.contains("postgres://user") && !error.contains("hush"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_url_may_name_several_hosts_which_are_alike_in_all_else() {
        for (url, shown) in [
            ("postgres://ada:h,us@one:5433,two,[::1]:5434/x", "one:5433, two:5432, [::1]:5434"),
            ("postgres://%2Frun%2Fone,%2Frun%2Ftwo/x?sslmode=disable", "/run/one, /run/two"),
            // Without a host the system's own is meant.
            ("postgres:///x?host=/run/one", "/run/one"),
        ] {
            assert_eq!(DatabaseUrl::from(url).servers().unwrap().shown(), shown);
        }
        for (url, each) in [
            (
                "postgres://ada:h,us@one:1,two/x?a=b,c",
                ["postgres://ada:h,us@one:1/x?a=b,c", "postgres://ada:h,us@two/x?a=b,c"].as_slice(),
            ),
            ("postgres:///x", &["postgres:///x"]),
        ] {
            assert_eq!(of_each_host(url), each);
        }
    }

    #[test]
    fn a_url_is_shown_without_its_passwords_and_another_secret_not_at_all() {
        for (secret, shown) in [
            ("postgres://ada:hush@db:5432/x", "postgres://ada:<redacted>@db:5432/x"),
            ("postgres://ada:h@u:s/h@db/x", "postgres://ada:<redacted>@db/x"),
            ("postgres://ada@db/x", "postgres://ada@db/x"),
            (
                "postgres://db/x?sslmode=require&password=hush",
                "postgres://db/x?sslmode=require&password=<redacted>",
            ),
            (
                "postgres://db/x?sslkey=hush&ssl-key=hush",
                "postgres://db/x?sslkey=<redacted>&ssl-key=<redacted>",
            ),
            ("postgres://ada:h?u@db/x", "<redacted>"),
            ("hush", "<redacted>"),
        ] {
            assert_eq!(redacted(secret), shown);
        }
    }

    #[test]
    fn a_url_comes_from_a_file_or_from_the_setting_and_not_from_both() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "postgres://ada:hush@db/x\n").unwrap();
        let read = given(None, Some(&file)).unwrap().unwrap();
        assert_eq!(read.0.expose_secret(), "postgres://ada:hush@db/x");
        let url = DatabaseUrl::from("postgres://db/y");
        assert_eq!(given(Some(&url), None).unwrap().unwrap().0.expose_secret(), "postgres://db/y");
        assert!(given(None, None).unwrap().is_none());
        let both = given(Some(&url), Some(&file)).unwrap_err().to_string();
        assert!(
            both.contains("--database-url-file") && both.contains("beside --database-url:"),
            "{both}"
        );
        let absent = given(None, Some(&dir.path().join("absent"))).unwrap_err().to_string();
        assert!(absent.starts_with("--database-url-file: "), "{absent}");
    }
}
