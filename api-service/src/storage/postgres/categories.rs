//! Categories.

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use super::{changes::record, error::or_broken, open::PostgresStore, retry::retrying};
use crate::{
    domain::{
        category::{Category, Content},
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        id::CategoryId,
    },
    storage::{CategoryKey, CategoryStore, StoreError, rows::At, statements},
};

#[async_trait]
impl CategoryStore for PostgresStore {
    async fn categories(
        &self,
        after: Option<&CategoryKey>,
        limit: i64,
    ) -> Result<Vec<Category>, StoreError> {
        let mut query = statements::categories("", after, limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        rows.into_iter().map(Category::try_from).collect()
    }

    async fn category(&self, id: CategoryId) -> Result<Category, StoreError> {
        let row: Option<Row> = sqlx::query_as(FIND).bind(id.0).fetch_optional(&self.pool).await?;
        row.ok_or(StoreError::CategoryNotFound)?.try_into()
    }

    async fn insert_category(&self, category: &Category) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
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
                .map_err(or_taken)?;
            let (kind, stamp) = (ChangeKind::Created, category.stamp());
            record(&mut tx, [Change::of_category(category.id, kind, stamp)]).await?;
            self.commit(tx).await
        })
        .await
    }

    async fn update_category(&self, category: &Category, seen: &Etag) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
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
                .map_err(or_taken)?;
            if written.rows_affected() != 1 {
                let found = sqlx::query(FIND).bind(category.id.0).fetch_optional(&mut *tx).await?;
                let gone = StoreError::CategoryNotFound;
                return Err(found.map_or(gone, |_| StoreError::EtagMismatch));
            }
            let (kind, stamp) = (ChangeKind::Updated, category.stamp());
            record(&mut tx, [Change::of_category(category.id, kind, stamp)]).await?;
            self.commit(tx).await
        })
        .await
    }

    async fn delete_category(
        &self,
        id: CategoryId,
        seen: Option<&Etag>,
        stamp: Stamp,
    ) -> Result<(), StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            let etag: Option<String> =
                sqlx::query_scalar(HOLD).bind(id.0).fetch_optional(&mut *tx).await?;
            let etag = etag.ok_or(StoreError::CategoryNotFound)?;
            if seen.is_some_and(|seen| seen.0 != etag) {
                return Err(StoreError::EtagMismatch);
            }
            // Who was about to file a tree there has committed or now waits to find it gone.
            if sqlx::query(USED).bind(id.0).fetch_optional(&mut *tx).await?.is_some() {
                return Err(StoreError::CategoryInUse);
            }
            sqlx::query(DELETE).bind(id.0).execute(&mut *tx).await?;
            let change = Change::of_category(id, ChangeKind::Deleted, stamp.clone());
            record(&mut tx, [change]).await?;
            self.commit(tx).await
        })
        .await
    }
}

fn or_taken(error: sqlx::Error) -> StoreError {
    or_broken(error, &["categories_by_slug"], StoreError::CategorySlugTaken)
}

#[derive(FromRow)]
pub(super) struct Row {
    id: Uuid,
    name: String,
    slug: String,
    description: String,
    position: i32,
    etag: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Category {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let at = At::row("categories", &row.id);
        Ok(Self {
            id: CategoryId(row.id),
            content: Content {
                name: row.name,
                slug: row.slug,
                description: row.description,
                position: row.position,
            },
            etag: Etag(row.etag),
            created_at: at.instant("created_at", row.created_at)?,
            updated_at: at.instant("updated_at", row.updated_at)?,
        })
    }
}

pub(super) const FIND: &str = "SELECT id, name, slug, description, position, etag, created_at, \
     updated_at FROM categories WHERE id = $1";
/// Keeps others from filing trees there, and waits for those who are about to.
pub(super) const HOLD: &str = "SELECT etag FROM categories WHERE id = $1 FOR UPDATE";
/// Keeps it from being deleted, for those who are about to file a tree there.
pub(super) const KEEP: &str = "SELECT 1 FROM categories WHERE id = $1 FOR KEY SHARE";
const INSERT: &str = "INSERT INTO categories (id, name, slug, description, position, etag, \
     created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
pub(super) const UPDATE: &str = "UPDATE categories SET name = $3, slug = $4, description = $5, \
     position = $6, etag = $7, updated_at = $8 WHERE id = $1 AND etag = $2";
pub(super) const USED: &str = "SELECT 1 FROM trees WHERE category_id = $1 LIMIT 1";
pub(super) const DELETE: &str = "DELETE FROM categories WHERE id = $1";
