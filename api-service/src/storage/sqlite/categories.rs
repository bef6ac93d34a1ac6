//! Categories.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{changes::record, error::or_taken, open::SqliteStore, trees::Tx};
use crate::{
    domain::{
        category::{Category, Content},
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        id::CategoryId,
    },
    storage::{
        CategoryKey, CategoryStore, StoreError,
        rows::{At, shown},
        statements,
    },
};

#[async_trait]
impl CategoryStore for SqliteStore {
    async fn categories(
        &self,
        after: Option<&CategoryKey>,
        limit: i64,
    ) -> Result<Vec<Category>, StoreError> {
        let mut query = statements::categories("", after, limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.reads).await?;
        rows.into_iter().map(Category::try_from).collect()
    }

    async fn category(&self, id: CategoryId) -> Result<Category, StoreError> {
        let row: Option<Row> = sqlx::query_as(FIND).bind(id.0).fetch_optional(&self.reads).await?;
        row.ok_or(StoreError::CategoryNotFound)?.try_into()
    }

    async fn insert_category(&self, category: &Category) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(INSERT)
            .bind(category.id.0)
            .bind(&category.content.name)
            .bind(&category.content.slug)
            .bind(&category.content.description)
            .bind(category.content.position)
            .bind(&category.etag.0)
            .bind(category.created_at.unix_millis())
            .bind(category.updated_at.unix_millis())
            .execute(&mut *tx)
            .await
            .map_err(|error| or_taken(error, StoreError::CategorySlugTaken))?;
        let (kind, stamp) = (ChangeKind::Created, category.stamp());
        record(&mut tx, Change::of_category(category.id, kind, stamp)).await?;
        self.commit(tx).await
    }

    async fn update_category(&self, category: &Category, seen: &Etag) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let written = sqlx::query(UPDATE)
            .bind(category.id.0)
            .bind(&seen.0)
            .bind(&category.content.name)
            .bind(&category.content.slug)
            .bind(&category.content.description)
            .bind(category.content.position)
            .bind(&category.etag.0)
            .bind(category.updated_at.unix_millis())
            .execute(&mut *tx)
            .await
            .map_err(|error| or_taken(error, StoreError::CategorySlugTaken))?;
        if written.rows_affected() != 1 {
            let exists = sqlx::query(EXISTS).bind(category.id.0).fetch_optional(&mut *tx).await?;
            return Err(exists.map_or(StoreError::CategoryNotFound, |_| StoreError::EtagMismatch));
        }
        let (kind, stamp) = (ChangeKind::Updated, category.stamp());
        record(&mut tx, Change::of_category(category.id, kind, stamp)).await?;
        self.commit(tx).await
    }

    async fn delete_category(
        &self,
        id: CategoryId,
        seen: Option<&Etag>,
        stamp: Stamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let etag = current(&mut tx, id).await?;
        if seen.is_some_and(|seen| *seen != etag) {
            return Err(StoreError::EtagMismatch);
        }
        if sqlx::query(USED).bind(id.0).fetch_optional(&mut *tx).await?.is_some() {
            return Err(StoreError::CategoryInUse);
        }
        sqlx::query(DELETE).bind(id.0).execute(&mut *tx).await?;
        record(&mut tx, Change::of_category(id, ChangeKind::Deleted, stamp)).await?;
        self.commit(tx).await
    }
}

/// The etag as of this transaction.
pub(super) async fn current(tx: &mut Tx, id: CategoryId) -> Result<Etag, StoreError> {
    let etag: Option<String> =
        sqlx::query_scalar(EXISTS).bind(id.0).fetch_optional(&mut **tx).await?;
    etag.map(Etag).ok_or(StoreError::CategoryNotFound)
}

#[derive(FromRow)]
pub(super) struct Row {
    id: Vec<u8>,
    name: String,
    slug: String,
    description: String,
    position: i64,
    etag: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Category {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let shown = shown(&row.id);
        let at = At::row("categories", &shown);
        Ok(Self {
            id: CategoryId(at.uuid("id", &row.id)?),
            content: Content {
                name: row.name,
                slug: row.slug,
                description: row.description,
                position: at.int("position", row.position)?,
            },
            etag: Etag(row.etag),
            created_at: at.instant("created_at", row.created_at)?,
            updated_at: at.instant("updated_at", row.updated_at)?,
        })
    }
}

pub(super) const FIND: &str = "SELECT id, name, slug, description, position, etag, created_at, \
     updated_at FROM categories WHERE id = $1";
pub(super) const EXISTS: &str = "SELECT etag FROM categories WHERE id = $1";
const INSERT: &str = "INSERT INTO categories (id, name, slug, description, position, etag, \
     created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
pub(super) const UPDATE: &str = "UPDATE categories SET name = $3, slug = $4, description = $5, \
     position = $6, etag = $7, updated_at = $8 WHERE id = $1 AND etag = $2";
pub(super) const USED: &str = "SELECT 1 FROM trees WHERE category_id = $1 LIMIT 1";
pub(super) const DELETE: &str = "DELETE FROM categories WHERE id = $1";
