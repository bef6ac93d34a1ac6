//! Databases.

use std::{path::Path, time::Duration};

use sqlx::{PgConnection, SqliteConnection, migrate::Migrator};
use tokio::time::timeout;

use super::Check;
use crate::{
    embedded::{is_damage, look},
    postgres::{Servers, mend},
    schema::Schema,
};

/// How a SQLite file is; all of it is read. The connection, if what is in it can be relied on, reads
/// only.
pub async fn sqlite(file: &Path, known: &Migrator) -> (Check, Option<SqliteConnection>) {
    let shown = file.display();
    // Where this user may not look, `look` says so.
    if let Ok(false) = file.try_exists() {
        return (Check::ok(NAME, format!("{shown} is made by the first start")), None);
    }
    let looked = async {
        let mut connection = look(file).await?;
        let said: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await?;
        let schema = Schema::of_sqlite(&mut connection, known).await?;
        Ok::<_, sqlx::Error>((connection, said, schema))
    };
    let restore = "restore a backup (`restore FILE`), or move it away to start empty";
    match looked.await {
        Ok((connection, said, schema)) if said == "ok" => {
            judged(&format!("{shown}"), &schema, connection)
        }
        Ok((_, said, _)) => {
            (Check::fail(NAME, format!("{shown} is damaged: {said}"), restore), None)
        }
        Err(error) if is_damage(&error) => (
            Check::fail(NAME, format!("{shown} is damaged or no database: {error}"), restore),
            None,
        ),
        Err(error) => {
            let mend = "check that this user may read it and what is beside it";
            (Check::fail(NAME, format!("{shown} cannot be read: {error}"), mend), None)
        }
    }
}

/// How a PostgreSQL database is, whose tables are in `schema`. The connection, if what is in it can be
/// relied on, is there to be read from.
pub async fn postgres(
    servers: Servers,
    schema: Option<&'static str>,
    rights: &'static str,
    known: &Migrator,
) -> (Check, Option<PgConnection>) {
    let shown = servers.shown();
    let looked = timeout(PATIENCE, async {
        let (primary, mut connection) = servers.find().await?;
        let shown = primary.shown();
        sqlx::query("SET default_transaction_read_only = on").execute(&mut connection).await?;
        if let Some(schema) = schema {
            sqlx::query("SELECT set_config('search_path', $1, false)")
                .bind(schema)
                .execute(&mut connection)
                .await?;
        }
        let schema = Schema::of_postgres(&mut connection, known).await?;
        Ok::<_, sqlx::Error>((shown, connection, schema))
    });
    match looked.await {
        Ok(Ok((shown, connection, schema))) => {
            judged(&format!("PostgreSQL at {shown}"), &schema, connection)
        }
        Ok(Err(error)) => {
            let found = format!("PostgreSQL at {shown} cannot be used: {error}");
            (Check::fail(NAME, found, mend(&error, rights)), None)
        }
        Err(_) => {
            let found = format!("PostgreSQL at {shown} does not answer");
            (Check::fail(NAME, found, "check that the server runs and its address"), None)
        }
    }
}

fn judged<C>(shown: &str, schema: &Schema, connection: C) -> (Check, Option<C>) {
    let found = format!("{shown} {schema}");
    match (schema.mend(), schema) {
        (Some(mend), _) => (Check::fail(NAME, found, mend), None),
        (None, Schema::New) => (Check::ok(NAME, found), None),
        (None, _) => (Check::ok(NAME, found), Some(connection)),
    }
}

const NAME: &str = "database";
const PATIENCE: Duration = Duration::from_secs(5);
