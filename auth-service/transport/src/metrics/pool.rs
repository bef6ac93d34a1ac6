//! Connections to a database.

use sqlx::{Database, Pool};

use super::Metrics;

/// Tells how many connections of a pool are in use and idle, and how many there may be. It may become
/// another one: `pool` is asked each time.
pub fn watch_pool<DB: Database>(
    metrics: &Metrics,
    name: &str,
    pool: impl Fn() -> Pool<DB> + Clone + Send + Sync + 'static,
) {
    const OPEN: &str = "Connections to the database, by pool and what they do";
    let (idle, all, most) = (pool.clone(), pool.clone(), pool);
    let named = |state| [("pool", name), ("state", state)];
    metrics.reading("database_connections", OPEN, &named("idle"), move || idle().num_idle() as f64);
    metrics.reading("database_connections", OPEN, &named("used"), move || {
        let all = all();
        // The two are not read at one moment.
        (all.size() as usize).saturating_sub(all.num_idle()) as f64
    });
    let help = "Connections to the database that there may be, by pool";
    metrics.reading("database_connections_max", help, &[("pool", name)], move || {
        f64::from(most().options().get_max_connections())
    });
}
