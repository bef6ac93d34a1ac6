//! The log of what was written.

use async_trait::async_trait;
use sqlx::{FromRow, Sqlite, Transaction};
use token::clock::Timestamp;
use tokio::sync::watch;

use super::{
    categories, folders::FolderRow, new_trees::insert, open::SqliteStore, tree_row::TreeRow,
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
impl ChangeStore for SqliteStore {
    async fn last_change(&self) -> Result<ChangeKey, StoreError> {
        let (seq, mark) = sqlx::query_as(LAST).fetch_one(&self.reads).await?;
        Ok(ChangeKey { seq, mark })
    }

    async fn changes(
        &self,
        reader: Option<&str>,
        after: &ChangeKey,
        limit: i64,
    ) -> Result<Option<Changes>, StoreError> {
        let mut tx = self.reads.begin().await?;
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
    }

    async fn resource(&self, id: ResourceId) -> Result<Option<Resource>, StoreError> {
        Ok(match id {
            ResourceId::Category(id) => {
                let row: Option<categories::Row> =
                    sqlx::query_as(categories::FIND).bind(id.0).fetch_optional(&self.reads).await?;
                row.map(TryInto::try_into).transpose()?.map(Resource::Category)
            }
            ResourceId::Folder(id) => {
                let row: Option<FolderRow> =
                    sqlx::query_as(FOLDER).bind(id.0).fetch_optional(&self.reads).await?;
                row.map(TryInto::try_into).transpose()?.map(Resource::Folder)
            }
            ResourceId::Tree(id) => {
                let row: Option<TreeRow> =
                    sqlx::query_as(TREE).bind(id.0).fetch_optional(&self.reads).await?;
                row.map(TryInto::try_into).transpose()?.map(Resource::Tree)
            }
        })
    }

    async fn trim_changes(&self, before: Timestamp, most: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
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
    }

    fn bell(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }
}

/// Logs a change in the transaction that makes it.
pub(super) async fn record(
    tx: &mut Transaction<'static, Sqlite>,
    change: Change,
) -> Result<(), StoreError> {
    record_all(tx, &[change]).await
}

/// Logs changes in their order, in the transaction that makes them.
pub(super) async fn record_all(
    tx: &mut Transaction<'static, Sqlite>,
    changes: &[Change],
) -> Result<(), StoreError> {
    insert(tx, INSERT, changes, |mut values, change| {
        let (resource, id) = match change.what {
            ResourceId::Category(id) => ("category", id.0),
            ResourceId::Folder(id) => ("folder", id.0),
            ResourceId::Tree(id) => ("tree", id.0),
        };
        values
            .push_bind(change.stamp.at.unix_millis())
            .push_bind(resource)
            .push_bind(id)
            .push_bind(change.owner_id.clone())
            .push_bind(kind_name(change.own))
            .push_bind(change.shared.map(kind_name))
            .push_bind(change.stamp.mark.0.clone());
    })
    .await
}

#[derive(FromRow)]
struct Row {
    seq: i64,
    at: i64,
    resource: String,
    resource_id: Vec<u8>,
    owner_id: Option<String>,
    own_kind: String,
    shared_kind: Option<String>,
    mark: String,
}

impl Row {
    fn change(self) -> Result<(ChangeKey, Change), StoreError> {
        let at = At::row("changes", &self.seq);
        let id = at.uuid("resource_id", &self.resource_id)?;
        let what = match self.resource.as_str() {
            "category" => ResourceId::Category(CategoryId(id)),
            "folder" => ResourceId::Folder(FolderId(id)),
            "tree" => ResourceId::Tree(TreeId(id)),
            _ => return Err(at.bad("resource")),
        };
        let change = Change {
            what,
            owner_id: self.owner_id,
            own: at.kind("own_kind", &self.own_kind)?,
            shared: self.shared_kind.map(|name| at.kind("shared_kind", &name)).transpose()?,
            stamp: Stamp { mark: Etag(self.mark.clone()), at: at.instant("at", self.at)? },
        };
        Ok((ChangeKey { seq: self.seq, mark: self.mark }, change))
    }
}

pub(super) const LAST: &str =
    "SELECT seq, mark FROM changes WHERE seq = (SELECT MAX(seq) FROM changes)";
pub(super) const MARK: &str = "SELECT mark FROM changes WHERE seq = $1";
pub(super) const OLDEST: &str = "SELECT seq, at FROM changes ORDER BY seq LIMIT $1";
pub(super) const TRIM: &str = "DELETE FROM changes WHERE seq <= $1";
pub(super) const FOLDER: &str = "SELECT * FROM folders WHERE id = $1";
pub(super) const TREE: &str =
    concat!("SELECT ", tree_columns!(), " FROM trees WHERE id = $1 AND deleted_at IS NULL");
const INSERT: &str = "INSERT INTO changes (at, resource, resource_id, owner_id, own_kind, \
     shared_kind, mark) ";
