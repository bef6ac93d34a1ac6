//! What keeping trees costs the database: the rows that ApiService writes, in bulk into the tables that
//! it has made, without a service, a wire or a rule.

mod postgres;
mod row;
mod sqlite;

use std::path::PathBuf;

use tokio::time::Instant;
use transport::database_url::DatabaseUrl;

use self::row::Row;
use super::{
    BATCH,
    fill::{Size, folders},
    shelf::{Issuer, Shelf},
};
use crate::lab::Failure;

/// How many trees a second the driver inserts, with their revisions, search entries and changes: as
/// many in a transaction that is made durable as ApiService takes into one.
pub(super) async fn kept_rate(
    issuer: &Issuer,
    dir: PathBuf,
    database_url: Option<DatabaseUrl>,
    size: Size,
) -> Result<f64, Failure> {
    let file = dir.join("api.db");
    let shelf = Shelf::open(issuer, dir, database_url.clone()).await?;
    let folders = folders(&shelf.user(0)?, size.folders_each()).await?;
    shelf.stop().await?;
    let rows: Result<Vec<_>, _> =
        (0..size.trees).map(|n| Row::of(n, &folders[n as usize % folders.len()])).collect();
    let rows = rows?;
    let start;
    if let Some(url) = database_url {
        let mut database = postgres::open(&url).await?;
        start = Instant::now();
        for batch in rows.chunks(BATCH) {
            postgres::insert(&mut database, batch).await?;
        }
        let rate = f64::from(size.trees) / start.elapsed().as_secs_f64();
        postgres::empty(&mut database).await?;
        return Ok(rate);
    }
    let mut database = sqlite::open(&file).await?;
    start = Instant::now();
    for batch in rows.chunks(BATCH) {
        sqlite::insert(&mut database, batch).await?;
    }
    Ok(f64::from(size.trees) / start.elapsed().as_secs_f64())
}
