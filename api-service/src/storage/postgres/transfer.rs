//! Many trees at once, out and in.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::{Postgres, QueryBuilder};
use token::clock::Timestamp;
use uuid::Uuid;

use super::{
    folders::down, new_trees::create, open::PostgresStore, retry::retrying, trees::hold_references,
};
use crate::{
    domain::{
        id::{FolderId, TreeId},
        import::Progress,
        search::Document,
        tree::Tree,
    },
    storage::{ImportError, ImportStep, StoreError, TransferStore, TreeKey, rows::At},
};

#[async_trait]
impl TransferStore for PostgresStore {
    async fn tree_keys(
        &self,
        owner: &str,
        folder: Option<FolderId>,
        after: Option<&TreeKey>,
        limit: i64,
    ) -> Result<Vec<TreeKey>, StoreError> {
        let mut query = keys(owner, folder, after, limit);
        let rows: Vec<(i64, Uuid)> = query.build_query_as().fetch_all(&self.pool).await?;
        let key = |(created_at, id): (i64, Uuid)| {
            let created_at = At::row("trees", &id).instant("created_at", created_at)?;
            Ok(TreeKey { created_at, id: TreeId(id) })
        };
        rows.into_iter().map(key).collect()
    }

    async fn import(
        &self,
        owner: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Progress>, StoreError> {
        let row: Option<(i64, Vec<u8>)> = sqlx::query_as(IMPORT)
            .bind(owner)
            .bind(key)
            .bind(now.unix_millis())
            .fetch_optional(&self.pool)
            .await?;
        let Some((created, digest)) = row else { return Ok(None) };
        let digest = digest.try_into().map_err(|_| At::row("imports", &key).bad("digest"))?;
        Ok(Some(Progress { created, digest }))
    }

    async fn import_trees(
        &self,
        trees: &[Tree],
        step: Option<&ImportStep>,
    ) -> Result<(), ImportError> {
        let owner = trees.first().map(|tree| &tree.owner_id).or(step.map(|step| &step.owner));
        let Some(owner) = owner else { return Ok(()) };
        let documents: Vec<_> = trees.iter().map(|tree| Document::of(&tree.content)).collect();
        retrying(&self.pool, async || {
            let mut tx = self.begin_as(owner).await?;
            let mut known = HashSet::new();
            for (i, tree) in trees.iter().enumerate() {
                if known.insert((tree.content.folder_id, tree.content.category_id)) {
                    let there = hold_references(&mut tx, tree).await?;
                    there.map_err(|error| ImportError::Tree(i, error))?;
                }
            }
            create(&mut tx, trees, &documents).await?;
            if let Some(step) = step {
                let written = sqlx::query(STEP)
                    .bind(&step.owner)
                    .bind(&step.key)
                    .bind(step.after.created)
                    .bind(&step.after.digest[..])
                    .bind(step.expires_at.unix_millis())
                    .bind(step.before)
                    .bind(step.now.unix_millis())
                    .execute(&mut *tx)
                    .await
                    .map_err(StoreError::from)?;
                if written.rows_affected() != 1 {
                    return Err(ImportError::Running);
                }
            }
            Ok(self.commit(tx).await?)
        })
        .await
    }

    async fn trim_imports(&self, now: Timestamp, most: i64) -> Result<u64, StoreError> {
        retrying(&self.pool, async || {
            let removed =
                sqlx::query(TRIM).bind(now.unix_millis()).bind(most).execute(&self.pool).await?;
            Ok(removed.rows_affected())
        })
        .await
    }
}

/// In the order of the owner's list, read backwards. The folders below one are few, and are gathered
/// before.
pub(super) fn keys(
    owner: &str,
    folder: Option<FolderId>,
    after: Option<&TreeKey>,
    limit: i64,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("");
    if let Some(folder) = folder {
        query.push("WITH RECURSIVE down (id, depth) AS (SELECT ").push_bind(folder.0);
        query.push(concat!("::uuid, 0", down!()));
    }
    query.push("SELECT created_at, id FROM trees WHERE owner_id = ").push_bind(owner.to_owned());
    query.push(" AND deleted_at IS NULL");
    if folder.is_some() {
        // Written so that no index by folder can be taken: the whole folder would be sorted for each
        // page.
        query.push(" AND coalesce(folder_id) = ANY (ARRAY(SELECT id FROM down))");
    }
    if let Some(after) = after {
        query.push(" AND (created_at, id) > (").push_bind(after.created_at.unix_millis());
        query.push(", ").push_bind(after.id.0).push(")");
    }
    query.push(" ORDER BY created_at, id LIMIT ").push_bind(limit);
    query
}

pub(super) const IMPORT: &str = "SELECT created_count, digest FROM imports \
     WHERE owner_id = $1 AND key = $2 AND expires_at > $3";
/// A row is there for all imports that have come anywhere: what begins at nothing finds none, or one
/// that has run out.
pub(super) const STEP: &str = "INSERT INTO imports (owner_id, key, created_count, digest, \
     expires_at) SELECT $1::text, $2::text, $3::bigint, $4::bytea, $5::bigint \
     WHERE $6::bigint = 0 OR EXISTS (SELECT 1 FROM imports WHERE owner_id = $1 AND key = $2) \
     ON CONFLICT (owner_id, key) DO UPDATE SET created_count = excluded.created_count, \
     digest = excluded.digest, expires_at = excluded.expires_at \
     WHERE CASE WHEN imports.expires_at > $7 THEN imports.created_count ELSE 0 END = $6";
pub(super) const TRIM: &str = "DELETE FROM imports WHERE (owner_id, key) IN \
     (SELECT owner_id, key FROM imports WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 \
      FOR UPDATE SKIP LOCKED)";
