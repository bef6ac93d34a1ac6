//! Connecting.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{
    Connection as _, PgConnection, Postgres, Transaction,
    migrate::{MigrateError, Migrator},
    postgres::PgPoolOptions,
};
use token::clock::Clock;
use transport::{
    postgres::{Bells, Pool, Probe, Servers, mend, prepare},
    schema::Schema,
};

use crate::storage::{
    error::{OpenError, StoreError},
    group_commit::{GroupCommit, Limits},
    postgres::{advances::PostgresCommitter, clock::DatabaseClock},
};

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Users, sessions and keys in a PostgreSQL database.
#[derive(Clone, Debug)]
pub(crate) struct PostgresStore {
    pub(super) pool: Pool,
    /// Of the commits of groups alone.
    pub(super) commits: Pool,
    pub(super) advances: GroupCommit,
    pub(super) bells: Bells,
    pub(super) probe: Probe,
    pub(super) now: DatabaseClock,
    /// The text of a session's read, with the database's clock in it.
    pub(super) read_session: Arc<OnceLock<Arc<str>>>,
}

impl PostgresStore {
    /// Connects, and creates or migrates the tables as needed.
    pub(crate) async fn open(
        servers: impl Into<Servers>,
        now: DatabaseClock,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let servers = servers.into().application_name("evergreen-auth-service");
        // A pool would try again what cannot succeed, and tell of nothing but the time it took.
        let found = servers.find().await;
        let (mut primary, probe) = found.map_err(|error| unusable(&error))?;
        probe.close().await.map_err(|error| unusable(&error))?;
        let pool = primary.pool(pool(CONNECTIONS));
        migrate(&pool).await?;
        // These connections run one statement only. A stale one fails it, and the group is
        // committed on another; asking each time whether it is stale would cost a round trip.
        let commits = primary.pool(pool_of_commits());
        let committer = PostgresCommitter::new(commits.clone(), now, clock);
        let limits = Limits { members: MAX_GROUP, groups: GROUPS };
        let advances = GroupCommit::start(committer, limits);
        let probe = Probe::new(&mut primary);
        let bells = Bells::hang(primary.pool(pool_of_revocations()), CHANNEL);
        primary.follow();
        Ok(Self { pool, commits, advances, bells, probe, now, read_session: Arc::default() })
    }

    pub(super) async fn close(&self) {
        self.probe.close().await;
        self.bells.pool().close().await;
        self.commits.close().await;
        self.pool.close().await;
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| Box::pin(prepare(connection)))
}

fn pool_of_commits() -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(GROUPS as u32)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                prepare(connection).await?;
                keep_plan(connection).await;
                Ok(())
            })
        })
}

/// One connection listens, one tells, one reads what is new and one all there is, whatever requests do
/// with the others. One that has gone stale is found out by using it, and nothing is lost by that.
fn pool_of_revocations() -> PgPoolOptions {
    pool(Bells::CONNECTIONS + 2).max_lifetime(None).test_before_acquire(false)
}

/// One plan for the statement that advances, whatever the size of the group and however stale the
/// statistics: the group's rows in their order, each found by its key. So rows are locked in the
/// order of their ids, and nothing is planned anew. Engines that lack a setting do not need it.
async fn keep_plan(connection: &mut PgConnection) {
    for setting in [
        "SET plan_cache_mode = force_generic_plan",
        "SET enable_hashjoin = off",
        "SET enable_mergejoin = off",
        "SET enable_seqscan = off",
        "SET enable_bitmapscan = off",
        "SET jit = off",
    ] {
        if let Err(error) = sqlx::query(setting).execute(&mut *connection).await {
            tracing::debug!(%error, setting, "the database does not know this setting");
        }
    }
}

async fn migrate(pool: &Pool) -> Result<(), OpenError> {
    let mut connection = pool.acquire().await.map_err(|error| unusable(&error))?;
    let refusal = match MIGRATIONS.run(&mut *connection).await {
        Ok(()) => return Ok(()),
        Err(MigrateError::Execute(error)) => return Err(unusable(&error)),
        Err(refusal) => refusal,
    };
    // Asked after it, and not before: a newer instance may have been at it in between.
    let schema = Schema::of_postgres(&mut connection, &MIGRATIONS).await;
    schema.map_err(|error| unusable(&error))?.usable().map_err(|schema| OpenError::Schema {
        database: "--database-url: the database".into(),
        schema,
    })?;
    Err(OpenError::Server {
        detail: refusal.to_string(),
        mend: "give Evergreen a database of its own",
    })
}

fn unusable(error: &sqlx::Error) -> OpenError {
    let mend = mend(error, RIGHTS);
    OpenError::Server { detail: error.to_string(), mend }
}

/// What to do for a user who may not do enough.
pub(crate) const RIGHTS: &str = "let this user create tables in the database";
/// Where instances tell each other that something was revoked.
const CHANNEL: &str = "evergreen_revoked";
const CONNECTIONS: u32 = 8;
/// Groups in flight at a time: while one waits for the disk, the next is executed.
const GROUPS: usize = 2;
/// What one statement moves at the most.
const MAX_GROUP: usize = 256;
/// How long a request waits for a connection, a server that is starting included: well within a
/// request's life, so that its client hears of the outage and comes back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
