//! What a program of an earlier version may still do on the schema of a later one.

use std::{ops::RangeInclusive, path::Path};

use private_postgres::Postgres;
use sqlx::{Connection as _, Executor as _, PgConnection, migrate::Migrator};

/// The statements of a program, and the schema that it was written for.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "each service says it of itself")]
pub struct Statements {
    /// The folder of migrations of the program as it is now.
    pub migrations: &'static str,
    /// Run on each connection before anything else.
    pub prepare: &'static str,
    /// Statements with values in them, each followed by a semicolon and an empty line. The first
    /// line says which was the last migration that the program knew: `-- schema: 7`.
    pub text: &'static str,
}

impl Statements {
    /// The schema of now serves them. Where there is no PostgreSQL, nothing is asked.
    pub async fn assert_survive(&self) {
        let Some(server) = Postgres::shared() else { return };
        let url = server.create_database("upgraded").unwrap();
        assert_eq!(self.survive(&url, &[]).await, Ok(()));
    }

    /// The check finds something wrong with each of these migrations, if they came next: what it says
    /// of it holds the words that are given. Where none are, it finds nothing.
    pub async fn assert_found_out(&self, migrations: &[(&'static str, Option<&str>)]) {
        let Some(server) = Postgres::shared() else { return };
        for (n, &(migration, found)) in migrations.iter().enumerate() {
            let url = server.create_database(&format!("contracted_{n}")).unwrap();
            match (found, self.survive(&url, &[migration]).await) {
                (None, done) => assert_eq!(done, Ok(()), "{migration}"),
                (Some(found), Err(why)) => assert!(why.contains(found), "{migration}: {why}"),
                (Some(_), Ok(())) => panic!("{migration} went unnoticed"),
            }
        }
    }

    /// Runs the statements on the schema that they were written for, brings it up to date under the
    /// connection that has prepared them, and runs them again, there and on a new connection. Each
    /// must change, or find, as many rows as at first; else this says which does not, and how.
    async fn survive(&self, url: &str, more: &[&'static str]) -> Result<(), String> {
        let migrator = Migrator::new(Path::new(self.migrations)).await.unwrap();
        let known = self.schema();
        let mut old = self.connect(url).await;
        migrate(&mut old, &migrator, i64::MIN..=known).await;
        let counts = self.run(&mut old).await?;
        let changed = counts.iter().zip(self.each()).find(|(rows, _)| **rows == 0);
        assert_eq!(changed, None, "a statement that finds nothing shows nothing");

        let mut new = self.connect(url).await;
        migrate(&mut new, &migrator, known + 1..=i64::MAX).await;
        for &statement in more {
            new.execute(sqlx::raw_sql(statement)).await.unwrap();
        }
        let mut other = self.connect(url).await;
        for connection in [&mut old, &mut other] {
            let now = self.run(connection).await?;
            let differs = now.iter().zip(&counts).position(|(now, before)| now != before);
            if let Some(at) = differs {
                return Err(format!(
                    "{} rows, and not {}: {}",
                    now[at],
                    counts[at],
                    self.each()[at]
                ));
            }
        }
        Ok(())
    }

    fn schema(&self) -> i64 {
        let first = self.text.lines().next().and_then(|line| line.strip_prefix("-- schema: "));
        first.expect("the first line says the schema").parse().unwrap()
    }

    fn each(&self) -> Vec<&'static str> {
        let is_statement = |part: &&str| {
            part.lines().any(|line| !line.trim().is_empty() && !line.starts_with("--"))
        };
        self.text.split(";\n").filter(is_statement).map(str::trim).collect()
    }

    /// How many rows each changed, or found. Nothing of it stays.
    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<u64>, String> {
        let mut tx = connection.begin().await.unwrap();
        let mut counts = Vec::new();
        for statement in self.each() {
            // With the protocol of prepared statements, whose plans are kept, as the programs do.
            let done = sqlx::query(statement).execute(&mut *tx).await;
            let done = done.map_err(|error| format!("{error}: {statement}"))?;
            counts.push(done.rows_affected());
        }
        tx.rollback().await.unwrap();
        Ok(counts)
    }

    async fn connect(&self, url: &str) -> PgConnection {
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection.execute(sqlx::raw_sql(self.prepare)).await.unwrap();
        connection
    }
}

async fn migrate(
    connection: &mut PgConnection,
    migrator: &Migrator,
    versions: RangeInclusive<i64>,
) {
    for migration in migrator.iter().filter(|migration| versions.contains(&migration.version)) {
        connection.execute(sqlx::raw_sql(migration.sql.clone())).await.unwrap();
    }
}
