//! LISTEN and NOTIFY: how instances wake each other.
//!
//! A notification only wakes a reader, who looks every second in any case. So it is sent behind the
//! commit and never fails it, and many commits may be told of by one. Inside the transaction it would
//! hold a lock of the whole database until the commit is on the disk.

use std::{convert::Infallible, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::watch;

/// What was written here, and what was written anywhere.
#[derive(Clone, Debug)]
pub(super) struct Bells {
    /// Of telling and hearing alone: whatever requests do with their connections, these are there.
    pool: PgPool,
    here: watch::Sender<()>,
    anywhere: watch::Sender<()>,
}

impl Bells {
    /// Connections that they need: one listens, one tells.
    pub(super) const CONNECTIONS: u32 = 2;

    /// Tells the others of what is written here, until the pool is closed.
    pub(super) fn hang(pool: PgPool) -> Self {
        let (here, anywhere) = (watch::Sender::new(()), watch::Sender::new(()));
        tokio::spawn(tell(pool.clone(), here.subscribe()));
        Self { pool, here, anywhere }
    }

    /// Something was written here.
    pub(super) fn ring(&self) {
        self.here.send_replace(());
        self.anywhere.send_replace(());
    }

    /// Hears of what is written anywhere, until the pool is closed.
    pub(super) fn listen(&self) -> watch::Receiver<()> {
        let heard = self.anywhere.subscribe();
        tokio::spawn(hear(self.pool.clone(), self.anywhere.clone()));
        heard
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
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => tracing::debug!(%error, "other instances were not woken this time"),
        }
    }
}

/// Rings when others tell, and after each interval in which they could not have.
async fn hear(pool: PgPool, anywhere: watch::Sender<()>) {
    loop {
        let Err(error) = hear_until_it_fails(&pool, &anywhere).await;
        if matches!(error, sqlx::Error::PoolClosed) {
            return;
        }
        tracing::debug!(%error, "other instances do not wake this one for now");
        tokio::time::sleep(RETRY).await;
    }
}

async fn hear_until_it_fails(
    pool: &PgPool,
    anywhere: &watch::Sender<()>,
) -> Result<Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        anywhere.send_replace(());
        // None after a new connection, before which something may have gone unheard.
        let _: Option<_> = listener.try_recv().await?;
    }
}

const CHANNEL: &str = "evergreen_api_changed";
const RETRY: Duration = Duration::from_secs(1);
