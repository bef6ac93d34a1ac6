//! Connections to whichever server is the primary.

use std::{io, mem, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _, stream};
use sqlx::{
    Database, Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use tokio::{sync::watch, time::timeout};

/// A pool of connections to the primary of a database. Clones share it.
///
/// Once another server is the primary, there is a new pool, of connections that are made to that one:
/// none that was made before, or was being made, is given to anybody. A server that vanishes closes no
/// connection, and the driver would wait for it for as long as the system does, a quarter of an hour;
/// so what hangs on the former pool is left there, with its places.
#[derive(Clone, Debug)]
pub struct Pool(watch::Sender<PgPool>);

/// The end of a pool's time: another server is the primary.
#[derive(Debug)]
pub struct Left(watch::Receiver<PgPool>);

impl Pool {
    pub(super) fn new(options: PgPoolOptions, primary: PgConnectOptions) -> Self {
        Self(watch::Sender::new(options.connect_lazy_with(primary)))
    }

    /// The connections to the primary, as things are.
    #[must_use]
    pub fn now(&self) -> PgPool {
        self.0.borrow().clone()
    }

    /// Those connections, and what tells when they are no longer to the primary.
    #[must_use]
    pub fn now_until_left(&self) -> (PgPool, Left) {
        let mut left = self.0.subscribe();
        let pool = left.borrow_and_update().clone();
        (pool, Left(left))
    }

    /// A connection to the primary; who waits for one when it becomes another server, waits for one to
    /// that.
    ///
    /// # Errors
    ///
    /// Why there is none in time.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        Ok(self.acquire_until_left().await?.0)
    }

    /// [`Self::acquire`], and what tells when the connection is no longer to the primary.
    ///
    /// # Errors
    ///
    /// As [`Self::acquire`].
    pub async fn acquire_until_left(
        &self,
    ) -> Result<(PoolConnection<Postgres>, Left), sqlx::Error> {
        loop {
            let (pool, mut left) = self.now_until_left();
            tokio::select! {
                biased;
                () = left.wait() => {}
                connection = pool.acquire() => return Ok((connection?, left)),
            }
        }
    }

    /// A transaction on the primary.
    ///
    /// # Errors
    ///
    /// Why there is no connection in time, or what the server says.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.begin_with("BEGIN").await
    }

    /// A transaction on the primary that begins by `statement`.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn begin_with(
        &self,
        statement: &'static str,
    ) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        loop {
            let (pool, mut left) = self.now_until_left();
            tokio::select! {
                biased;
                () = left.wait() => {}
                transaction = pool.begin_with(statement) => return transaction,
            }
        }
    }

    /// What `work` on connections of this pool's comes to, unless another server becomes the primary
    /// meanwhile. It is dropped then, and what the former one has made of it is not known.
    ///
    /// # Errors
    ///
    /// [`Unanswered::Left`].
    pub async fn unless_left<T>(&self, work: impl Future<Output = T>) -> Result<T, Unanswered> {
        let (_, mut left) = self.now_until_left();
        tokio::select! {
            biased;
            () = left.wait() => Err(Unanswered::Left),
            done = work => Ok(done),
        }
    }

    /// Ends the connections, once nobody uses them, and gives no more.
    pub async fn close(&self) {
        let mut last = None;
        // Within its lock, so that no other pool takes the place of the one that is closed.
        self.0.send_if_modified(|pool| {
            mark_closed(pool);
            last = Some(pool.clone());
            false
        });
        if let Some(last) = last {
            last.close().await;
        }
    }

    /// Resolves when it has been closed.
    pub(super) async fn closed(&self) {
        loop {
            let (pool, mut left) = self.now_until_left();
            tokio::select! {
                biased;
                () = left.wait() => {}
                () = pool.close_event() => return,
            }
        }
    }

    /// Connects to `primary` from now on, unless it is closed.
    pub(super) fn move_to(&self, primary: &PgConnectOptions) {
        let mut former = None;
        self.0.send_if_modified(|pool| {
            if pool.is_closed() {
                return false;
            }
            let next = pool.options().clone().connect_lazy_with(primary.clone());
            former = Some(mem::replace(pool, next));
            true
        });
        if let Some(former) = former {
            // Only now: whoever waits there has been told where to go. What is in use is ended when
            // it is given back.
            mark_closed(&former);
            tokio::spawn(async move { former.close().await });
        }
    }
}

impl Left {
    /// Waits for it.
    pub async fn wait(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody is left who could move the pool.
            std::future::pending::<()>().await;
        }
    }

    /// Whether it has come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.has_changed().unwrap_or(false)
    }

    /// What `work` on a connection comes to, if it does before the primary is another server and while
    /// `patience` lasts.
    ///
    /// Otherwise what the server has made of it is not known, and the connection must not be
    /// [given back](PoolConnection::close_on_drop): the pool would ask it how it is, and wait.
    ///
    /// # Errors
    ///
    /// [`Unanswered`].
    pub async fn or<T>(
        &mut self,
        patience: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Unanswered> {
        tokio::select! {
            biased;
            () = self.wait() => Err(Unanswered::Left),
            done = timeout(patience, work) => done.map_err(|_| Unanswered::InTime),
        }
    }
}

/// Why what was asked of a connection has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it was waited for as long as it could come")]
pub enum Unanswered {
    /// It has not come in time.
    InTime,
    /// Another server is the primary.
    Left,
}

impl From<Unanswered> for sqlx::Error {
    fn from(unanswered: Unanswered) -> Self {
        Self::Io(match unanswered {
            Unanswered::InTime => io::Error::from(io::ErrorKind::TimedOut),
            Unanswered::Left => io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the database has another primary, and the former one had not answered",
            ),
        })
    }
}

/// Runs a statement on a connection of its own, whose answer is not waited for any longer when another
/// server is the primary.
impl<'p> Executor<'p> for &'_ Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Rows<'e>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let rows = async move {
            let (mut connection, mut left) = pool.acquire_until_left().await?;
            let rows: Vec<_> = tokio::select! {
                biased;
                () = left.wait() => return Err(Unanswered::Left.into()),
                rows = connection.fetch_many(query).try_collect() => rows?,
            };
            Ok(stream::iter(rows.into_iter().map(Ok)))
        };
        rows.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> Eventually<'e, Option<PgRow>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let row = async move {
            let (mut connection, mut left) = pool.acquire_until_left().await?;
            tokio::select! {
                biased;
                () = left.wait() => Err(Unanswered::Left.into()),
                row = connection.fetch_optional(query) => row,
            }
        };
        row.boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [<Postgres as Database>::TypeInfo],
    ) -> Eventually<'e, <Postgres as Database>::Statement>
    where
        'p: 'e,
    {
        let pool = self.clone();
        async move { pool.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> Eventually<'e, Describe<Postgres>> {
        let pool = self.clone();
        async move { pool.acquire().await?.describe(sql).await }.boxed()
    }
}

type Eventually<'e, T> = futures_util::future::BoxFuture<'e, Result<T, sqlx::Error>>;
type Rows<'e> =
    stream::BoxStream<'e, Result<Either<<Postgres as Database>::QueryResult, PgRow>, sqlx::Error>>;

/// From its first moment a pool that is being closed gives nothing more.
fn mark_closed(pool: &PgPool) {
    drop(pool.close());
}
