//! Connects, and makes and migrates the tables.

use std::time::Duration;

use sqlx::{
    Connection as _, PgConnection, Postgres, Transaction,
    migrate::{MigrateError, Migrator},
    postgres::PgPoolOptions,
};
use thiserror::Error;
use transport::{
    postgres::{self as shared, Bells, Pool, Probe, Servers, mend},
    schema::Schema,
};

use super::lock::{Turn, take_turn};
use crate::storage::StoreError;

/// The store on PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct PostgresStore {
    pub(super) pool: Pool,
    pub(super) bells: Bells,
    pub(super) probe: Probe,
}

/// Why the database could not be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error("{0}")]
    Schema(Schema),
    #[error("cannot be used: {detail}")]
    Server { detail: String, mend: &'static str },
}

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/postgres");

impl PostgresStore {
    const CONNECTIONS: u32 = 8;

    /// Connects, makes the schema if there is none, and brings it up to date.
    pub(crate) async fn open(servers: impl Into<Servers>) -> Result<Self, OpenError> {
        let servers = servers.into().application_name("evergreen-api-service");
        // A pool would try again what cannot succeed, and tell of nothing but the time it took.
        let (mut primary, mut first) = servers.find().await?;
        migrate(&mut first).await?;
        first.close().await?;
        let pool = primary.pool(pool(Self::CONNECTIONS));
        // One that has gone stale is found out by using it, and nothing is lost by that.
        let probe = Probe::new(&mut primary);
        let bells = primary.pool(pool_of_bells());
        primary.follow();
        Ok(Self { pool, bells: Bells::hang(bells, CHANNEL), probe })
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// A transaction that only reads, all of it as of one moment.
    pub(super) async fn begin_snapshot(
        &self,
    ) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
    }
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).after_connect(
        |connection, _| {
            Box::pin(async move {
                prepare(connection).await?;
                bound(connection).await
            })
        },
    )
}

fn pool_of_bells() -> PgPoolOptions {
    pool(Bells::CONNECTIONS).max_lifetime(None).test_before_acquire(false)
}

/// Whose tables are ours.
pub(crate) const SCHEMA: &str = "evergreen_api";
/// What to do for a user who may not do enough.
pub(crate) const RIGHTS: &str = "let this user create schemas in the database, or make the schema \
                                 evergreen_api and give it to this user";
/// Where instances tell each other that something was written.
const CHANNEL: &str = "evergreen_api_changed";
/// How long a request waits for a connection, a server that is starting included: well within a
/// request's life, so that its client hears of the outage and comes back.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes the schema and its tables, one instance after another.
async fn migrate(connection: &mut PgConnection) -> Result<(), OpenError> {
    prepare(connection).await?;
    make_schema(connection).await?;
    let refusal = match MIGRATIONS.run(&mut *connection).await {
        Ok(()) => return Ok(()),
        Err(MigrateError::Execute(error)) => return Err(error.into()),
        Err(refusal) => refusal,
    };
    // Asked after it, and not before: a newer instance may have been at it in between.
    let schema = Schema::of_postgres(connection, &MIGRATIONS).await?;
    schema.usable().map_err(OpenError::Schema)?;
    Err(OpenError::Server {
        detail: refusal.to_string(),
        mend: "see the server's log, and restore the schema evergreen_api from a backup",
    })
}

async fn make_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    take_turn(&mut tx, Turn::Schema).await?;
    // Asked first: who may not create schemas may use one that an administrator has made.
    let exists: bool = sqlx::query_scalar("SELECT to_regnamespace('evergreen_api') IS NOT NULL")
        .fetch_one(&mut *tx)
        .await?;
    if !exists {
        sqlx::query("CREATE SCHEMA evergreen_api").execute(&mut *tx).await?;
    }
    tx.commit().await
}

/// Refuses a standby, and names the schema.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    shared::prepare(connection).await?;
    sqlx::query("SET search_path = evergreen_api").execute(connection).await?;
    Ok(())
}

/// Lets no statement run on that nobody waits for any more, and no transaction keep its locks whose
/// instance has stalled.
async fn bound(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SET statement_timeout = '10s'").execute(&mut *connection).await?;
    sqlx::query("SET idle_in_transaction_session_timeout = '10s'").execute(connection).await?;
    Ok(())
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        let mend = mend(&error, RIGHTS);
        Self::Server { detail: error.to_string(), mend }
    }
}
