//! Writers who race: each outcome is one that an order of them has, and none is an accident of the
//! engine.

use token::{clock::Timestamp, entropy::SeededEntropy};

use super::store;
use crate::{
    domain::{
        category::{self, Category},
        etag::Etag,
        folder::{self, Folder},
        id::{CategoryId, FolderId, TreeId},
        tree::{Content, Deletion, Edit, Tree},
    },
    storage::{
        CategoryStore as _, FolderStore as _, MergeStore as _, StoreError, SubtreeStore as _,
        Target, TreeFilter, TreeStore as _, postgres::PostgresStore,
    },
};

const ROUNDS: usize = 25;
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A store, and what makes things to put into it.
struct World {
    store: PostgresStore,
    entropy: SeededEntropy,
}

impl World {
    async fn new() -> Option<Self> {
        Some(Self { store: store().await?, entropy: SeededEntropy::new(7) })
    }

    fn etag(&self) -> Etag {
        Etag::new(&self.entropy)
    }

    fn a_tree(&self, content: Content) -> Tree {
        let content = Content { title: "t".into(), ..content };
        Tree::new(TreeId::new(NOW, &self.entropy), "ada".into(), content, self.etag(), NOW)
    }

    async fn category(&self) -> CategoryId {
        let id = CategoryId::new(NOW, &self.entropy);
        let content = category::Content {
            name: "c".into(),
            slug: id.to_string(),
            description: String::new(),
            position: 0,
        };
        let etag = self.etag();
        let category = Category { id, content, etag, created_at: NOW, updated_at: NOW };
        self.store.insert_category(&category).await.unwrap();
        id
    }

    fn a_folder(&self, parent_id: Option<FolderId>) -> Folder {
        let id = FolderId::new(NOW, &self.entropy);
        let content = folder::Content { parent_id, name: id.to_string(), position: 0 };
        let (owner_id, etag) = ("ada".into(), self.etag());
        Folder { id, owner_id, content, etag, created_at: NOW, updated_at: NOW }
    }

    async fn folder(&self, parent: Option<FolderId>) -> FolderId {
        let folder = self.a_folder(parent);
        self.store.insert_folder(&folder, 5_000).await.unwrap();
        folder.id
    }

    /// Moves trees, one a step, until the category is gone.
    async fn merge(&self, id: CategoryId, into: CategoryId) -> Result<(), StoreError> {
        let target = Target { id: into, etag: self.etag(), now: NOW };
        while !self.store.merge_category(id, None, &target, 1).await?.done {}
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_is_filed_before_its_category_goes_or_not_at_all() {
    let Some(world) = World::new().await else { return };
    for _ in 0..ROUNDS {
        let category = world.category().await;
        let tree = world.a_tree(Content { category_id: Some(category), ..Content::default() });
        let stamp = tree.stamp();
        let done = tokio::join!(
            world.store.insert_tree(&tree),
            world.store.delete_category(category, None, stamp)
        );
        match done {
            (Ok(()), Err(StoreError::CategoryInUse)) => {}
            (Err(StoreError::CategoryNotFound), Ok(())) => {}
            both => panic!("{both:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_takes_every_tree_with_it() {
    let Some(world) = World::new().await else { return };
    for _ in 0..ROUNDS {
        let (from, into) = (world.category().await, world.category().await);
        let filed = || world.a_tree(Content { category_id: Some(from), ..Content::default() });
        let (old, new) = (filed(), filed());
        world.store.insert_tree(&old).await.unwrap();
        let edit = Edit { title: Some("another".into()), ..Edit::default() };
        let edited = old.clone().edited(edit, world.etag(), NOW).unwrap();
        let (merged, inserted, updated) = tokio::join!(
            world.merge(from, into),
            world.store.insert_tree(&new),
            world.store.update_tree(&edited, &old.etag)
        );
        merged.unwrap();
        assert!(matches!(inserted, Ok(()) | Err(StoreError::CategoryNotFound)), "{inserted:?}");
        assert!(
            matches!(
                updated,
                Ok(()) | Err(StoreError::CategoryNotFound | StoreError::EtagMismatch)
            ),
            "{updated:?}"
        );
        let mut count = 0;
        for (category_id, found) in [(from, 0), (into, 1 + usize::from(inserted.is_ok()))] {
            let filter = TreeFilter {
                reader: "ada".into(),
                category_id: Some(category_id),
                folder_id: None,
                status: None,
                mine: true,
            };
            let trees = world.store.trees(&filter, None, 10).await.unwrap();
            assert_eq!(trees.len(), found);
            count += trees.iter().filter(|tree| tree.content.title == "another").count();
        }
        assert_eq!(count == 1, updated.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_categories_that_are_merged_into_each_other_one_stays() {
    let Some(world) = World::new().await else { return };
    for _ in 0..ROUNDS {
        let (one, other) = (world.category().await, world.category().await);
        let done = tokio::join!(world.merge(one, other), world.merge(other, one));
        match done {
            (Ok(()), Err(StoreError::CategoryNotFound))
            | (Err(StoreError::CategoryNotFound), Ok(())) => {}
            both => panic!("{both:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_filed_below_a_folder_that_goes_goes_with_it() {
    let Some(world) = World::new().await else { return };
    for _ in 0..ROUNDS {
        let top = world.folder(None).await;
        let below = world.folder(Some(top)).await;
        let tree = world.a_tree(Content { folder_id: Some(below), ..Content::default() });
        let folder = world.a_folder(Some(below));
        let deletion = Deletion::new(NOW, std::time::Duration::from_secs(60));
        let etag = world.etag();
        let (deleted, filed, made) = tokio::join!(
            world.store.delete_subtree(top, "ada", None, deletion, &etag, 1_000),
            world.store.insert_tree(&tree),
            world.store.insert_folder(&folder, 5_000)
        );
        let deleted = deleted.unwrap();
        assert!(matches!(filed, Ok(()) | Err(StoreError::FolderNotFound)), "{filed:?}");
        assert!(matches!(made, Ok(()) | Err(StoreError::FolderNotFound)), "{made:?}");
        assert_eq!(deleted.trees, u64::from(filed.is_ok()));
        assert_eq!(deleted.folders, 2 + u64::from(made.is_ok()));
        assert!(world.store.folders("ada", None, None, 10).await.unwrap().is_empty());
    }
}
