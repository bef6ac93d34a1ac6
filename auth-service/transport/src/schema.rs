//! Which migrations a database has seen, against those that a program knows.

use std::fmt;

use sqlx::{PgConnection, SqliteConnection, migrate::Migrator};

/// How a database's schema stands to a program's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schema {
    /// The program's own.
    Current(i64),
    /// Another program's, or changed by hand.
    Foreign,
    /// This migration was begun and not ended.
    HalfDone(i64),
    /// There is nothing in it yet.
    New,
    /// A newer program's.
    Newer {
        /// The newest migration that it has seen.
        found: i64,
        /// The newest that the program knows.
        known: i64,
    },
    /// An older program's, which is brought up to date at the next start.
    Older {
        /// The newest migration that it has seen.
        found: i64,
        /// The newest that the program knows.
        known: i64,
    },
}

type Applied = (i64, bool, Vec<u8>);

impl Schema {
    /// That of a SQLite database. It is only read.
    ///
    /// # Errors
    ///
    /// What the engine says, if it cannot be read.
    pub async fn of_sqlite(
        connection: &mut SqliteConnection,
        known: &Migrator,
    ) -> Result<Self, sqlx::Error> {
        let (tables, has_migrations): (i64, bool) = sqlx::query_as(
            "SELECT count(*), coalesce(max(name = '_sqlx_migrations'), 0) FROM sqlite_schema \
             WHERE type = 'table'",
        )
        .fetch_one(&mut *connection)
        .await?;
        if !has_migrations {
            return Ok(if tables == 0 { Self::New } else { Self::Foreign });
        }
        let applied = sqlx::query_as(APPLIED).fetch_all(connection).await?;
        Ok(Self::judge(&applied, known))
    }

    /// That of the tables in a PostgreSQL connection's search path. They are only read.
    ///
    /// # Errors
    ///
    /// What the server says, if they cannot be read.
    pub async fn of_postgres(
        connection: &mut PgConnection,
        known: &Migrator,
    ) -> Result<Self, sqlx::Error> {
        let has_migrations: bool =
            sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
                .fetch_one(&mut *connection)
                .await?;
        if !has_migrations {
            return Ok(Self::New);
        }
        let applied = sqlx::query_as(APPLIED).fetch_all(connection).await?;
        Ok(Self::judge(&applied, known))
    }

    fn judge(applied: &[Applied], migrator: &Migrator) -> Self {
        let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
        let Some(found) = applied.iter().map(|(version, ..)| *version).max() else {
            return Self::New;
        };
        let is_ours = |(version, _, checksum): &&Applied| {
            let ours = migrator.iter().find(|migration| migration.version == *version);
            ours.is_some_and(|ours| *ours.checksum == **checksum)
        };
        let (older, newer): (Vec<_>, Vec<_>) =
            applied.iter().partition(|(version, ..)| *version <= known);
        if !older.iter().all(is_ours) {
            return Self::Foreign;
        }
        if !newer.is_empty() {
            return Self::Newer { found, known };
        }
        if let Some((migration, ..)) = applied.iter().find(|(_, ended, _)| !ended) {
            return Self::HalfDone(*migration);
        }
        if found == known { Self::Current(known) } else { Self::Older { found, known } }
    }

    /// Itself, if the program can use it, as it is or once it is migrated.
    ///
    /// # Errors
    ///
    /// Itself, if the program cannot; [`mend`](Self::mend) says what to do.
    pub const fn usable(self) -> Result<Self, Self> {
        match self.mend() {
            None => Ok(self),
            Some(_) => Err(self),
        }
    }

    /// What to do about it; none if there is nothing to do.
    #[must_use]
    pub const fn mend(&self) -> Option<&'static str> {
        match self {
            Self::Current(_) | Self::New | Self::Older { .. } => None,
            Self::Foreign => Some("name the database that belongs to this program"),
            Self::HalfDone(_) => Some(
                "restore the backup from before it (`restore FILE`, or pg_restore); nothing has \
                 been changed",
            ),
            Self::Newer { .. } => {
                Some("run the newer program, or restore the backup from before it")
            }
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current(known) => write!(f, "has schema {known}, which is this program's"),
            Self::Foreign => f.write_str("has tables that are not this program's"),
            Self::HalfDone(migration) => {
                write!(f, "was left by migration {migration} while it was half done")
            }
            Self::New => f.write_str("is empty; the first start makes its tables"),
            Self::Newer { found, known } => {
                write!(f, "has schema {found}, newer than this program's {known}")
            }
            Self::Older { found, known } => {
                write!(f, "has schema {found}, which the next start brings to {known}")
            }
        }
    }
}

const APPLIED: &str = "SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version";

#[cfg(test)]
mod tests {
    use sqlx::{
        AssertSqlSafe, SqlSafeStr as _,
        migrate::{Migration, MigrationType},
    };

    use super::*;

    fn migrator(sql: &str, versions: std::ops::RangeInclusive<i64>) -> Migrator {
        let migration = |version: i64| {
            let sql = AssertSqlSafe(format!("{sql} {version}")).into_sql_str();
            Migration::new(version, "a step".into(), MigrationType::Simple, sql, false)
        };
        Migrator::with_migrations(versions.map(migration).collect())
    }

    fn seen(migrator: &Migrator) -> Vec<Applied> {
        let seen = |migration: &Migration| (migration.version, true, migration.checksum.to_vec());
        migrator.iter().map(seen).collect()
    }

    #[test]
    fn a_schema_is_judged_by_the_migrations_that_it_has_seen() {
        let ours = migrator("ours", 1..=3);
        assert_eq!(Schema::judge(&[], &ours), Schema::New);
        assert_eq!(Schema::judge(&seen(&ours), &ours), Schema::Current(3));
        let older = Schema::Older { found: 2, known: 3 };
        assert_eq!(Schema::judge(&seen(&migrator("ours", 1..=2)), &ours), older);
        let newer = Schema::Newer { found: 4, known: 3 };
        assert_eq!(Schema::judge(&seen(&migrator("ours", 1..=4)), &ours), newer);
        assert_eq!(Schema::judge(&seen(&migrator("theirs", 1..=4)), &ours), Schema::Foreign);
        let mut half = seen(&ours);
        half[2].1 = false;
        assert_eq!(Schema::judge(&half, &ours), Schema::HalfDone(3));
    }
}
