//! The log of what was written.
//!
//! Commits here have no order that a number drawn by a write would show: one that drew its number
//! first may commit last. So a write leaves what it has to say in an inbox, and whoever reads the log
//! moves what is there to its end first, one reader at a time: numbers are given to what is
//! committed, in an order that all see. Writes of one thing wait for each other, so what they leave
//! comes in their order.

use async_trait::async_trait;
use sqlx::FromRow;
use token::clock::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    categories,
    folders::FolderRow,
    lock::{Turn, take_turn},
    open::PostgresStore,
    retry::retrying,
    tree_row::TreeRow,
    trees::Tx,
};
use crate::{
    domain::{
        change::{Change, Resource, ResourceId, Stamp},
        etag::Etag,
        id::{CategoryId, FolderId, TreeId},
    },
    storage::{
        ChangeKey, ChangeStore, Changes, StoreError,
        rows::{At, kind_name, tree_columns},
        statements,
    },
};

#[async_trait]
impl ChangeStore for PostgresStore {
    async fn last_change(&self) -> Result<ChangeKey, StoreError> {
        self.empty_inbox().await?;
        let (seq, mark) = sqlx::query_as(LAST).fetch_one(&self.pool).await?;
        Ok(ChangeKey { seq, mark })
    }

    async fn changes(
        &self,
        reader: Option<&str>,
        after: &ChangeKey,
        limit: i64,
    ) -> Result<Option<Changes>, StoreError> {
        self.empty_inbox().await?;
        retrying(&self.pool, async || {
            let mut tx = self.begin_snapshot().await?;
            let mark: Option<String> =
                sqlx::query_scalar(MARK).bind(after.seq).fetch_optional(&mut *tx).await?;
            if mark.is_none_or(|mark| mark != after.mark) {
                return Ok(None);
            }
            let mut query = statements::changes("", reader, after.seq, limit);
            let rows: Vec<Row> = query.build_query_as().fetch_all(&mut *tx).await?;
            let more = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
            let (seq, mark) = sqlx::query_as(LAST).fetch_one(&mut *tx).await?;
            tx.commit().await?;
            let changes: Result<Vec<_>, _> = rows.into_iter().map(Row::change).collect();
            let changes = changes?;
            let last = changes.last().map(|(key, _)| key.clone()).filter(|_| more);
            Ok(Some(Changes { changes, until: last.unwrap_or(ChangeKey { seq, mark }) }))
        })
        .await
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Resource>, StoreError> {
        Ok(match id {
            ResourceId::Category(id) => {
                let row: Option<categories::Row> =
                    sqlx::query_as(categories::FIND).bind(id.0).fetch_optional(&self.pool).await?;
                row.map(TryInto::try_into).transpose()?.map(Resource::Category)
            }
            ResourceId::Folder(id) => {
                let row: Option<FolderRow> =
                    sqlx::query_as(FOLDER).bind(id.0).fetch_optional(&self.pool).await?;
                row.map(TryInto::try_into).transpose()?.map(Resource::Folder)
            }
            ResourceId::Tree(id) => {
                let row: Option<TreeRow> =
                    sqlx::query_as(TREE).bind(id.0).fetch_optional(&self.pool).await?;
                row.map(TryInto::try_into).transpose()?.map(Resource::Tree)
            }
        })
    }

    async fn trim_changes(&self, before: Timestamp, most: i64) -> Result<u64, StoreError> {
        self.empty_inbox().await?;
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            take_turn(&mut tx, Turn::Log).await?;
            let oldest: Vec<(i64, i64)> =
                sqlx::query_as(OLDEST).bind(most + 1).fetch_all(&mut *tx).await?;
            // Only from the front: a gap in the log would be a change that nobody is told of.
            let before = before.unix_millis();
            let old = oldest.iter().take_while(|&&(_, at)| at < before).count();
            // The newest of them is where everybody is who has read all of them.
            let last = old.checked_sub(2).and_then(|last| oldest.get(last));
            let Some((until, _)) = last else { return Ok(0) };
            let removed = sqlx::query(TRIM).bind(until).execute(&mut *tx).await?.rows_affected();
            tx.commit().await?;
            Ok(removed)
        })
        .await
    }

    fn bell(&self) -> watch::Receiver<()> {
        self.bells.listen()
    }
}

impl PostgresStore {
    /// Makes what was written durable, and wakes whoever follows the log.
    pub(super) async fn commit(&self, tx: Tx) -> Result<(), StoreError> {
        tx.commit().await?;
        self.bells.ring();
        Ok(())
    }

    /// Moves to the log what was committed before this was called.
    async fn empty_inbox(&self) -> Result<(), StoreError> {
        if sqlx::query(WAITING).fetch_optional(&self.pool).await?.is_none() {
            return Ok(());
        }
        loop {
            let moved = retrying(&self.pool, async || {
                let mut tx = self.begin().await?;
                take_turn(&mut tx, Turn::Log).await?;
                let moved = sqlx::query(NUMBER).bind(NUMBERED_AT_ONCE).execute(&mut *tx).await?;
                tx.commit().await?;
                Ok::<_, StoreError>(moved.rows_affected())
            })
            .await?;
            if moved < NUMBERED_AT_ONCE.unsigned_abs() {
                return Ok(());
            }
        }
    }
}

/// Logs changes in the transaction that makes them, once it holds the rows that it changes.
pub(super) async fn record(
    tx: &mut Tx,
    changes: impl IntoIterator<Item = Change>,
) -> Result<(), StoreError> {
    let mut rows = Columns::default();
    for change in changes {
        let (resource, id) = match change.what {
            ResourceId::Category(id) => ("category", id.0),
            ResourceId::Folder(id) => ("folder", id.0),
            ResourceId::Tree(id) => ("tree", id.0),
        };
        rows.at.push(change.stamp.at.unix_millis());
        rows.resource.push(resource);
        rows.resource_id.push(id);
        rows.owner_id.push(change.owner_id);
        rows.own_kind.push(kind_name(change.own));
        rows.shared_kind.push(change.shared.map(kind_name));
        rows.mark.push(change.stamp.mark.0);
    }
    if !rows.at.is_empty() {
        sqlx::query(INSERT)
            .bind(rows.at)
            .bind(rows.resource)
            .bind(rows.resource_id)
            .bind(rows.owner_id)
            .bind(rows.own_kind)
            .bind(rows.shared_kind)
            .bind(rows.mark)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Rows to be written by one statement.
#[derive(Default)]
struct Columns {
    at: Vec<i64>,
    resource: Vec<&'static str>,
    resource_id: Vec<Uuid>,
    owner_id: Vec<Option<String>>,
    own_kind: Vec<&'static str>,
    shared_kind: Vec<Option<&'static str>>,
    mark: Vec<String>,
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    at: i64,
    resource: String,
    resource_id: Uuid,
    owner_id: Option<String>,
    own_kind: String,
    shared_kind: Option<String>,
    mark: String,
}

impl Row {
    fn change(self) -> Result<(ChangeKey, Change), StoreError> {
        let at = At::row("changes", &self.seq);
        let what = match self.resource.as_str() {
            "category" => ResourceId::Category(CategoryId(self.resource_id)),
            "folder" => ResourceId::Folder(FolderId(self.resource_id)),
            "tree" => ResourceId::Tree(TreeId(self.resource_id)),
            _ => return Err(at.bad("resource")),
        };
        let shared = self.shared_kind.map(|name| at.kind("shared_kind", &name)).transpose()?;
        let change = Change {
            what,
            owner_id: self.owner_id,
            own: at.kind("own_kind", &self.own_kind)?,
            shared,
            stamp: Stamp { mark: Etag(self.mark.clone()), at: at.instant("at", self.at)? },
        };
        Ok((ChangeKey { seq: self.seq, mark: self.mark }, change))
    }
}

pub(super) const LAST: &str = "SELECT seq, mark FROM changes ORDER BY seq DESC LIMIT 1";
pub(super) const MARK: &str = "SELECT mark FROM changes WHERE seq = $1";
pub(super) const OLDEST: &str = "SELECT seq, at FROM changes ORDER BY seq LIMIT $1";
pub(super) const TRIM: &str = "DELETE FROM changes WHERE seq <= $1";
pub(super) const FOLDER: &str = "SELECT id, owner_id, parent_id, name, position, etag, \
     created_at, updated_at FROM folders WHERE id = $1";
pub(super) const TREE: &str =
    concat!("SELECT ", tree_columns!(), " FROM trees WHERE id = $1 AND deleted_at IS NULL");
pub(super) const WAITING: &str = "SELECT 1 FROM change_inbox ORDER BY place LIMIT 1";
/// The log always has a last row to count from.
pub(super) const NUMBER: &str = "WITH moved AS ( \
       DELETE FROM change_inbox WHERE place IN ( \
         SELECT place FROM change_inbox ORDER BY place LIMIT $1) \
       RETURNING place, at, resource, resource_id, owner_id, own_kind, shared_kind, mark) \
     INSERT INTO changes (seq, at, resource, resource_id, owner_id, own_kind, shared_kind, mark) \
     SELECT (SELECT MAX(seq) FROM changes) + row_number() OVER (ORDER BY place), \
            at, resource, resource_id, owner_id, own_kind, shared_kind, mark FROM moved";
const INSERT: &str = "INSERT INTO change_inbox (at, resource, resource_id, owner_id, own_kind, \
     shared_kind, mark) \
     SELECT at, resource, resource_id, owner_id, own_kind, shared_kind, mark \
     FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], \
                 $7::text[]) WITH ORDINALITY \
       AS written (at, resource, resource_id, owner_id, own_kind, shared_kind, mark, place) \
     ORDER BY place";

const NUMBERED_AT_ONCE: i64 = 1_000;
