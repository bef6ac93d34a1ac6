//! Categories.

use std::collections::btree_map::Entry;

use async_trait::async_trait;

use super::database::{MemoryStore, Tables, id_taken, most};
use crate::{
    domain::{
        category::Category,
        change::{Change, ChangeKind, Stamp},
        etag::Etag,
        id::CategoryId,
    },
    storage::{CategoryKey, CategoryStore, StoreError},
};

#[async_trait]
impl CategoryStore for MemoryStore {
    async fn categories(
        &self,
        after: Option<&CategoryKey>,
        limit: i64,
    ) -> Result<Vec<Category>, StoreError> {
        let tables = self.transaction().await?;
        let after = after.map(|after| (after.position, after.name.as_str(), after.id));
        let mut found: Vec<_> = tables
            .categories
            .values()
            .filter(|category| after.is_none_or(|after| key(category) > after))
            .collect();
        found.sort_unstable_by_key(|category| key(category));
        Ok(found.into_iter().take(most(limit)).cloned().collect())
    }

    async fn category(&self, id: CategoryId) -> Result<Category, StoreError> {
        self.transaction().await?.category(id).cloned()
    }

    async fn insert_category(&self, category: &Category) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        tables.check_slug(category)?;
        match tables.categories.entry(category.id) {
            Entry::Occupied(_) => Err(id_taken()),
            Entry::Vacant(entry) => {
                entry.insert(category.clone());
                let (kind, stamp) = (ChangeKind::Created, category.stamp());
                tables.log.record(Change::of_category(category.id, kind, stamp));
                Ok(())
            }
        }
    }

    async fn update_category(&self, category: &Category, seen: &Etag) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        let current = tables.category(category.id)?;
        if current.etag != *seen {
            return Err(StoreError::EtagMismatch);
        }
        let created_at = current.created_at;
        tables.check_slug(category)?;
        tables.categories.insert(category.id, Category { created_at, ..category.clone() });
        let (kind, stamp) = (ChangeKind::Updated, category.stamp());
        tables.log.record(Change::of_category(category.id, kind, stamp));
        Ok(())
    }

    async fn delete_category(
        &self,
        id: CategoryId,
        seen: Option<&Etag>,
        stamp: Stamp,
    ) -> Result<(), StoreError> {
        let mut tables = self.transaction().await?;
        let current = tables.category(id)?;
        if seen.is_some_and(|seen| *seen != current.etag) {
            return Err(StoreError::EtagMismatch);
        }
        if tables.trees.values().any(|tree| tree.content.category_id == Some(id)) {
            return Err(StoreError::CategoryInUse);
        }
        tables.categories.remove(&id);
        tables.log.record(Change::of_category(id, ChangeKind::Deleted, stamp));
        Ok(())
    }
}

impl Tables {
    pub(super) fn category(&self, id: CategoryId) -> Result<&Category, StoreError> {
        self.categories.get(&id).ok_or(StoreError::CategoryNotFound)
    }

    fn check_slug(&self, category: &Category) -> Result<(), StoreError> {
        let same = |other: &Category| {
            other.id != category.id && other.content.slug == category.content.slug
        };
        if self.categories.values().any(same) {
            return Err(StoreError::CategorySlugTaken);
        }
        Ok(())
    }
}

/// Where it stands in its list.
fn key(category: &Category) -> (i32, &str, CategoryId) {
    (category.content.position, &category.content.name, category.id)
}
