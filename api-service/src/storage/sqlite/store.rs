//! The trait, by the functions of the neighbouring files.

use async_trait::async_trait;

use super::open::SqliteStore;
use crate::{
    domain::{
        category::Category,
        etag::Etag,
        folder::Folder,
        id::{CategoryId, FolderId, TreeId},
        tree::Tree,
    },
    storage::{CategoryKey, FolderKey, Store, StoreError, TreeFilter, TreeKey},
};

#[async_trait]
impl Store for SqliteStore {
    async fn trees(
        &self,
        filter: &TreeFilter,
        after: Option<&TreeKey>,
        limit: i64,
    ) -> Result<Vec<Tree>, StoreError> {
        self.list_trees(filter, after, limit).await
    }

    async fn tree(&self, id: TreeId, reader: &str) -> Result<Tree, StoreError> {
        self.find_tree(id, reader).await
    }

    async fn insert_tree(&self, tree: &Tree) -> Result<(), StoreError> {
        self.add_tree(tree).await
    }

    async fn update_tree(&self, tree: &Tree, seen: &Etag) -> Result<(), StoreError> {
        self.overwrite_tree(tree, seen).await
    }

    async fn delete_tree(
        &self,
        id: TreeId,
        owner: &str,
        seen: Option<&Etag>,
    ) -> Result<(), StoreError> {
        self.remove_tree(id, owner, seen).await
    }

    async fn folders(
        &self,
        owner: &str,
        parent: Option<FolderId>,
        after: Option<&FolderKey>,
        limit: i64,
    ) -> Result<Vec<Folder>, StoreError> {
        self.list_folders(owner, parent, after, limit).await
    }

    async fn folder(&self, id: FolderId, owner: &str) -> Result<Folder, StoreError> {
        self.find_folder(id, owner).await
    }

    async fn insert_folder(&self, folder: &Folder) -> Result<(), StoreError> {
        self.add_folder(folder).await
    }

    async fn update_folder(&self, folder: &Folder, seen: &Etag) -> Result<(), StoreError> {
        self.overwrite_folder(folder, seen).await
    }

    async fn delete_folder(
        &self,
        id: FolderId,
        owner: &str,
        seen: Option<&Etag>,
    ) -> Result<(), StoreError> {
        self.remove_folder(id, owner, seen).await
    }

    async fn categories(
        &self,
        after: Option<&CategoryKey>,
        limit: i64,
    ) -> Result<Vec<Category>, StoreError> {
        self.list_categories(after, limit).await
    }

    async fn category(&self, id: CategoryId) -> Result<Category, StoreError> {
        self.find_category(id).await
    }

    async fn insert_category(&self, category: &Category) -> Result<(), StoreError> {
        self.add_category(category).await
    }

    async fn update_category(&self, category: &Category, seen: &Etag) -> Result<(), StoreError> {
        self.overwrite_category(category, seen).await
    }

    async fn delete_category(&self, id: CategoryId, seen: Option<&Etag>) -> Result<(), StoreError> {
        self.remove_category(id, seen).await
    }

    async fn page_token_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        sqlx::query(
            "INSERT INTO secrets (name, value) VALUES ('page_token', $1) \
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(&fresh[..])
        .execute(&self.writes)
        .await?;
        let kept: Vec<u8> =
            sqlx::query_scalar("SELECT value FROM secrets WHERE name = 'page_token'")
                .fetch_one(&self.writes)
                .await?;
        kept.try_into().map_err(|_| StoreError::inconsistent("secrets", "value", "page_token"))
    }

    async fn close(&self) {
        self.reads.close().await;
        self.writes.close().await;
    }
}
