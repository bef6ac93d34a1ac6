//! Databases that can be set back to what they were: what a restored backup is, or a failover to a
//! replica that lagged.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use auth_service::Config;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use private_postgres::Postgres;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

/// Where a world's AuthService keeps its users and sessions.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "these are the two that there are")]
pub enum Restorable {
    /// A file in the data directory.
    Sqlite(PathBuf),
    /// A database of the private server of this test process.
    Postgres(&'static Postgres, String),
}

impl Restorable {
    /// A file of this data directory.
    #[must_use]
    pub fn sqlite(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("auth.db"))
    }

    /// A new database on the private server; `None` where PostgreSQL is not installed.
    ///
    /// # Panics
    ///
    /// If the server cannot be started or asked.
    #[must_use]
    pub fn postgres() -> Option<Self> {
        static DATABASES: AtomicU64 = AtomicU64::new(0);
        let server = Postgres::shared()?;
        let name = format!("world_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        server.create_database(&name).expect("a database can be made");
        Some(Self::Postgres(server, name))
    }

    /// Where a PostgreSQL database is; `None` for a file.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(server, name) => Some(server.url(name)),
        }
    }

    /// Names this database in the settings of an AuthService.
    pub fn configure(&self, config: &mut Config) {
        config.database_url = self.url().map(|url| url.as_str().into());
    }

    /// Keeps a copy. No service may be using the database.
    ///
    /// # Panics
    ///
    /// If it cannot be copied.
    pub fn back_up(&self) {
        match self {
            Self::Sqlite(path) => {
                let backup = path.with_extension("backup");
                fs::copy(path, backup).expect("the file can be copied");
            }
            Self::Postgres(server, name) => {
                let copy = format!("CREATE DATABASE {name}_backup TEMPLATE {name}");
                server.sql("postgres", &copy).expect("the database can be copied");
            }
        }
    }

    /// Sets the database back to the copy. No service may be using it.
    ///
    /// # Panics
    ///
    /// If there is no copy.
    pub fn restore(&self) {
        match self {
            Self::Sqlite(path) => {
                let backup = path.with_extension("backup");
                fs::copy(backup, path).expect("there is a backup");
            }
            Self::Postgres(server, name) => {
                let drop = format!("DROP DATABASE {name}");
                server.sql("postgres", &drop).expect("nobody uses the database");
                let copy = format!("CREATE DATABASE {name} TEMPLATE {name}_backup");
                server.sql("postgres", &copy).expect("there is a backup");
            }
        }
    }

    /// The name of the key that signs, and its sealed seed.
    pub(crate) async fn signing_key(&self) -> (String, Vec<u8>) {
        match self {
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let mut connection = SqliteConnection::connect_with(&options)
                    .await
                    .expect("the database can be read");
                sqlx::query_as("SELECT kid, sealed_seed FROM signing_keys WHERE state = 'active'")
                    .fetch_one(&mut connection)
                    .await
                    .expect("a key signs")
            }
            Self::Postgres(server, name) => {
                let key = "SELECT kid, encode(sealed_seed, 'base64')
                           FROM signing_keys WHERE state = 'active'";
                let text = server.sql(name, key).expect("the database can be read");
                let (kid, sealed) = text.split_once('|').expect("two columns");
                let sealed: String = sealed.split_whitespace().collect();
                let sealed = BASE64_STANDARD.decode(sealed).expect("PostgreSQL encodes it");
                (kid.to_owned(), sealed)
            }
        }
    }
}
