//! LISTEN and NOTIFY: how instances wake each other.
//!
//! A notification only wakes a reader, who also looks now and then in any case. So it is sent behind
//! the commit and never fails it, many commits may be told of by one, and an engine that has no
//! notifications is one whose readers find out by looking. Inside the transaction it would hold a
//! lock of the whole database until the commit is on the disk, and what is told of would be committed
//! one by one.

use std::{convert::Infallible, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::watch;

use super::{Pool, Unanswered};

/// Rings for what was written here, and for what was written anywhere.
#[derive(Clone, Debug)]
pub struct Bells {
    /// Nothing that waits for a connection to write may keep one from telling or hearing.
    pool: Pool,
    channel: &'static str,
    here: watch::Sender<()>,
    anywhere: watch::Sender<()>,
}

impl Bells {
    /// How many connections of the pool they keep: one listens, one tells.
    pub const CONNECTIONS: u32 = 2;

    /// Tells the others, who listen on the same channel, of what is written here, until `pool` is
    /// closed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn hang(pool: Pool, channel: &'static str) -> Self {
        let (here, anywhere) = (watch::Sender::new(()), watch::Sender::new(()));
        tokio::spawn(tell(pool.clone(), channel, here.subscribe()));
        Self { pool, channel, here, anywhere }
    }

    /// Something was written here.
    pub fn ring(&self) {
        self.here.send_replace(());
        self.anywhere.send_replace(());
    }

    /// Hears of what is written anywhere, as far as the engine tells of it, until the pool is closed.
    /// Rings that come while nobody listens count as one, and one too many does no harm.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn listen(&self) -> watch::Receiver<()> {
        let heard = self.anywhere.subscribe();
        tokio::spawn(hear(self.pool.clone(), self.channel, self.anywhere.clone()));
        heard
    }

    /// The connections that they tell and hear by.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// Tells the others of each ring; of those that came meanwhile at once.
async fn tell(pool: Pool, channel: &str, mut here: watch::Receiver<()>) {
    while here.changed().await.is_ok() {
        match tell_once(&pool, channel).await {
            Ok(()) => {}
            Err(error) if is_final(&error) => {
                return tracing::debug!(%error, "other instances are not woken");
            }
            Err(error) => tracing::debug!(%error, "other instances were not woken this time"),
        }
    }
}

async fn tell_once(pool: &Pool, channel: &str) -> Result<(), sqlx::Error> {
    let (mut connection, mut left) = pool.acquire_until_left().await?;
    let telling = sqlx::query("SELECT pg_notify($1, '')").bind(channel).execute(&mut *connection);
    match left.or(PATIENCE, telling).await {
        Ok(told) => told.map(drop),
        Err(unanswered) => {
            connection.close_on_drop();
            Err(unanswered.into())
        }
    }
}

/// Rings when others tell, and after each interval in which they could not have.
async fn hear(pool: Pool, channel: &str, anywhere: watch::Sender<()>) {
    loop {
        let (now, mut left) = pool.now_until_left();
        // On the former primary nobody tells any more, and it may not say so.
        let Err(error) = tokio::select! {
            biased;
            () = left.wait() => Err(Unanswered::Left.into()),
            heard = hear_until_it_fails(&now, channel, &anywhere) => heard,
        };
        if is_final(&error) {
            return tracing::debug!(%error, "other instances do not wake this one");
        }
        tracing::debug!(%error, "other instances do not wake this one for now");
        if !left.is_over() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn hear_until_it_fails(
    pool: &PgPool,
    channel: &str,
    anywhere: &watch::Sender<()>,
) -> Result<Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(channel).await?;
    loop {
        anywhere.send_replace(());
        // None after a new connection, before which something may have gone unheard.
        let _: Option<_> = listener.try_recv().await?;
    }
}

/// Whether it is of no use to try again: the pool is closed, or the engine does not know what was
/// asked of it.
fn is_final(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolClosed => true,
        // SQLSTATE classes 0A is "feature not supported", 42 "syntax error" and the like.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("0A") || code.starts_with("42"))
        }
        _ => false,
    }
}

/// How long the database may take to be told.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(1);
