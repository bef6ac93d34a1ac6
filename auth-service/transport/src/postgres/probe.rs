//! Whether the database is there.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection as _, PgConnection, postgres::PgPoolOptions};
use tokio::{
    sync::Mutex,
    time::{error::Elapsed, timeout},
};

use super::{Left, Pool, Primary, Unanswered, prepare};

/// Asks a database whether it can be worked with, by a connection of its own: that all others are in
/// use says nothing of the database.
#[derive(Clone, Debug)]
pub struct Probe {
    pool: Pool,
    /// Kept out of the pool, which would wait for a server that does not answer before it gave the only
    /// place there is to another connection.
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    connection: PgConnection,
    left: Left,
}

impl Probe {
    /// Connects when it asks first.
    #[must_use]
    pub fn new(primary: &mut Primary) -> Self {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
        Self { pool: primary.pool(pool), kept: Arc::default() }
    }

    /// Whether the database answers and is the primary, within less than a second.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn ask(&self) -> Result<(), sqlx::Error> {
        let asked = timeout(PATIENCE, async {
            let mut kept = self.kept.lock().await;
            // What is not put back is closed, however the question ends.
            let mut asking = match kept.take().filter(|kept| !kept.left.is_over()) {
                Some(kept) => kept,
                None => {
                    let (connection, left) = self.pool.acquire_until_left().await?;
                    Kept { connection: connection.detach(), left }
                }
            };
            prepare(&mut asking.connection).await?;
            *kept = Some(asking);
            Ok(())
        });
        asked.await.unwrap_or_else(|_: Elapsed| Err(Unanswered::InTime.into()))
    }

    /// Ends the connection.
    pub async fn close(&self) {
        self.pool.close().await;
        if let Some(kept) = self.kept.lock().await.take() {
            // It is of no use any more, whatever comes of that.
            let _ = kept.connection.close().await;
        }
    }
}

/// Shorter than the second that readiness waits, so that it hears why.
const PATIENCE: Duration = Duration::from_millis(900);
