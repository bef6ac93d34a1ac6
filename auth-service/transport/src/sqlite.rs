//! What both services know of SQLite.

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

/// A pool whose connections are all made now, and stay for as long as it does.
///
/// A connection whose caller goes away while it is being made is closed some time later, by a thread
/// that nobody can wait for. So none is made for a caller: once this pool is closed, its file is left.
/// One that broke is replaced when it is needed, all the same.
///
/// # Errors
///
/// The driver's, if one of them cannot be made.
pub async fn connect_all(
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, sqlx::Error> {
    let pool = pool.max_lifetime(None).idle_timeout(None);
    let count = pool.get_max_connections();
    let pool = pool.connect_lazy_with(options);
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(pool.acquire().await?);
    }
    drop(made);
    Ok(pool)
}

/// Whether the file that `pool` has open answers. Where all its connections are in use, it does.
///
/// # Errors
///
/// Why not.
pub async fn answers(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    match pool.try_acquire() {
        Some(mut connection) => {
            sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1").execute(&mut *connection).await?;
            Ok(())
        }
        None if pool.is_closed() => Err(sqlx::Error::PoolClosed),
        None => Ok(()),
    }
}
