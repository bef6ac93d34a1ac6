//! Whether the database is there.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgPoolOptions};

use super::{Primary, prepare};

/// Asks a database whether it can be worked with, by a connection of its own: that all others are in
/// use says nothing of the database.
#[derive(Clone, Debug)]
pub struct Probe(PgPool);

impl Probe {
    /// Connects when it asks first.
    #[must_use]
    pub fn new(primary: &mut Primary) -> Self {
        // A connection that has gone stale is found out by the question itself.
        let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
        Self(primary.pool(pool.acquire_timeout(PATIENCE)))
    }

    /// Whether the database answers and is the primary.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn ask(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.0.acquire().await?;
        prepare(&mut connection).await
    }

    /// Ends the connection.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

const PATIENCE: Duration = Duration::from_secs(2);
