//! LISTEN and NOTIFY: how instances wake each other.
//!
//! A notification only wakes a reader, who looks every half second in any case. So it is sent behind
//! the commit and never fails it, many commits may be told of by one, and an engine that has no
//! notifications is one whose readers find out by looking. Inside the transaction it would hold a
//! lock of the whole database until the commit is on the disk, and revocations would be committed
//! one by one.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::watch;

use crate::storage::bell::Bell;

/// What was revoked here, and what was revoked anywhere.
#[derive(Clone, Debug)]
pub(super) struct Bells {
    /// Of what has to do with revocations being heard, and nothing else.
    pub(super) pool: PgPool,
    here: Bell,
    anywhere: Bell,
}

impl Bells {
    /// Tells the others of what is revoked here, until `pool` is closed.
    pub(super) fn hang(pool: PgPool) -> Self {
        let bells = Self { pool, here: Bell::default(), anywhere: Bell::default() };
        tokio::spawn(tell(bells.pool.clone(), bells.here.listen()));
        bells
    }

    /// Something was revoked here.
    pub(super) fn ring(&self) {
        self.here.ring();
        self.anywhere.ring();
    }

    /// Hears of what is revoked anywhere, as far as the engine tells of it, until the pool is closed.
    pub(super) fn listen(&self) -> watch::Receiver<()> {
        tokio::spawn(hear(self.pool.clone(), self.anywhere.clone()));
        self.anywhere.listen()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Tells the others of each ring; of those that came meanwhile at once.
async fn tell(pool: PgPool, mut here: watch::Receiver<()>) {
    while here.changed().await.is_ok() {
        let told = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&pool).await;
        match told {
            Ok(_) => {}
            Err(error) if is_final(&error) => {
                return tracing::debug!(%error, "other instances are not woken");
            }
            Err(error) => tracing::debug!(%error, "other instances were not woken this time"),
        }
    }
}

/// Rings when others tell, and after each interval in which they could not have.
async fn hear(pool: PgPool, anywhere: Bell) {
    loop {
        let Err(error) = hear_until_it_fails(&pool, &anywhere).await;
        if is_final(&error) {
            return tracing::debug!(%error, "other instances do not wake this one");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn hear_until_it_fails(
    pool: &PgPool,
    anywhere: &Bell,
) -> Result<std::convert::Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        anywhere.ring();
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

const CHANNEL: &str = "evergreen_revoked";
const RETRY: Duration = Duration::from_secs(1);
