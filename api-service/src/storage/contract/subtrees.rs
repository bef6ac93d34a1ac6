//! Folders with all that lies in them.

use super::{RETENTION, World, everything_of, minute_of_test};
use crate::{
    domain::{
        folder::{MOST, MOST_TREES, in_order},
        id::FolderId,
        tree::{Deletion, Edit, Tree},
    },
    storage::{Deleted, StoreError},
};

impl World {
    /// Names, depths and numbers of trees, in order.
    async fn outline(
        &self,
        owner: &str,
        top: Option<FolderId>,
    ) -> Result<Vec<(String, i32, i32)>, StoreError> {
        let entries = in_order(self.store.subtree(owner, top).await?);
        let line = |entry: crate::domain::folder::Entry| {
            (entry.folder.content.name, entry.depth, entry.tree_count)
        };
        Ok(entries.into_iter().map(line).collect())
    }

    async fn delete_all(&self, id: FolderId, owner: &str) -> Result<Deleted, StoreError> {
        let deletion = Deletion::new(minute_of_test(5), RETENTION);
        self.store.delete_subtree(id, owner, None, deletion, &self.etag(), MOST_TREES).await
    }
}

fn lines(expected: &[(&str, i32, i32)]) -> Vec<(String, i32, i32)> {
    expected.iter().map(|&(name, depth, trees)| (name.to_owned(), depth, trees)).collect()
}

pub(in crate::storage) async fn a_subtree_holds_a_folder_and_all_below_it(world: World) {
    let b = world.folder("ada", None, "b").await;
    let mut last = world.a_folder("ada", None, "a");
    last.content.position = 1;
    world.store.insert_folder(&last, MOST).await.unwrap();
    let d = world.folder("ada", Some(b.id), "d").await;
    world.folder("ada", Some(b.id), "c").await;
    let e = world.folder("ada", Some(d.id), "e").await;
    world.folder("eve", None, "other").await;
    for (minute, folder) in [(0, d.id), (1, d.id), (2, e.id)] {
        world.tree("ada", minute, |t| t.content.folder_id = Some(folder)).await;
    }
    let gone = world.tree("ada", 3, |t| t.content.folder_id = Some(e.id)).await;
    world.delete(&gone, 4).await;
    assert_eq!(
        world.outline("ada", None).await.unwrap(),
        lines(&[("b", 0, 0), ("c", 1, 0), ("d", 1, 2), ("e", 2, 1), ("a", 0, 0)])
    );
    assert_eq!(world.outline("ada", Some(d.id)).await.unwrap(), lines(&[("d", 0, 2), ("e", 1, 1)]));
    assert!(world.outline("nobody", None).await.unwrap().is_empty());
    // A tree that is in another folder now, and one that is in none.
    for to in [Some(b.id), None] {
        let tree = world.tree("ada", 5, |t| t.content.folder_id = Some(d.id)).await;
        let moved = Edit { folder_id: Some(to), ..Edit::default() };
        let moved = |tree: Tree, etag| tree.edited(moved, etag, minute_of_test(6));
        world.write(&tree, moved).await.unwrap();
    }
    assert_eq!(world.outline("ada", Some(d.id)).await.unwrap(), lines(&[("d", 0, 2), ("e", 1, 1)]));
    assert_eq!(world.outline("ada", None).await.unwrap()[0], lines(&[("b", 0, 1)])[0]);
    for (owner, id) in [("eve", d.id), ("ada", world.a_folder("ada", None, "x").id)] {
        let missing = world.outline(owner, Some(id)).await;
        assert!(matches!(missing, Err(StoreError::FolderNotFound)), "{missing:?}");
    }
}

pub(in crate::storage) async fn a_user_has_so_many_folders_at_most(world: World) {
    let top = world.folder("ada", None, "a").await;
    world.folder("ada", Some(top.id), "b").await;
    world.folder("eve", None, "c").await;
    for parent in [None, Some(top.id)] {
        let refused = world.store.insert_folder(&world.a_folder("ada", parent, "x"), 2).await;
        assert!(matches!(refused, Err(StoreError::TooManyFolders)), "{refused:?}");
    }
    // Of two that race for the last place, one is refused.
    let (x, y) = (world.a_folder("ada", None, "x"), world.a_folder("ada", Some(top.id), "y"));
    let results = tokio::join!(world.store.insert_folder(&x, 3), world.store.insert_folder(&y, 3));
    let one = matches!(
        results,
        (Ok(()), Err(StoreError::TooManyFolders)) | (Err(StoreError::TooManyFolders), Ok(()))
    );
    assert!(one, "{results:?}");
}

pub(in crate::storage) async fn a_folder_is_deleted_with_all_that_is_in_it(world: World) {
    let chain = world.chain("ada", "abc").await;
    let (top, beside) = (&chain[0], world.folder("ada", None, "z").await);
    let mut inside = Vec::new();
    for (minute, folder) in (0..).zip(&chain) {
        inside.push(world.tree("ada", minute, |t| t.content.folder_id = Some(folder.id)).await);
    }
    let outside = world.tree("ada", 3, |t| t.content.folder_id = Some(beside.id)).await;
    let fresh = world.etag();
    let deletion = Deletion::new(minute_of_test(5), RETENTION);
    let deleted = world
        .store
        .delete_subtree(top.id, "ada", Some(&top.etag), deletion, &fresh, MOST_TREES)
        .await;
    assert_eq!(deleted.unwrap(), Deleted { folders: 3, trees: 3 });
    assert_eq!(world.outline("ada", None).await.unwrap(), lines(&[("z", 0, 1)]));
    for tree in inside {
        let read = world.store.tree(tree.id, "ada").await.unwrap();
        assert_eq!(read, tree.deleted(deletion, fresh.clone()).unwrap());
    }
    assert_eq!(world.store.tree(outside.id, "ada").await.unwrap(), outside);
    let again = world.delete_all(top.id, "ada").await;
    assert!(matches!(again, Err(StoreError::FolderNotFound)), "{again:?}");
    // One with nothing in it, too.
    let empty = world.folder("ada", None, "a").await;
    let deleted = world.delete_all(empty.id, "ada").await.unwrap();
    assert_eq!(deleted, Deleted { folders: 1, trees: 0 });
}

pub(in crate::storage) async fn a_subtree_that_is_not_deleted_stays_whole(world: World) {
    let chain = world.chain("ada", "ab").await;
    let tree = world.tree("ada", 0, |t| t.content.folder_id = Some(chain[1].id)).await;
    let stale = world.etag();
    let deletion = Deletion::new(minute_of_test(5), RETENTION);
    let refused = world
        .store
        .delete_subtree(chain[0].id, "ada", Some(&stale), deletion, &stale, MOST_TREES)
        .await;
    assert!(matches!(refused, Err(StoreError::EtagMismatch)), "{refused:?}");
    let refused = world.delete_all(chain[0].id, "eve").await;
    assert!(matches!(refused, Err(StoreError::FolderNotFound)), "{refused:?}");
    assert_eq!(world.outline("ada", None).await.unwrap(), lines(&[("a", 0, 0), ("b", 1, 1)]));
    assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);
}

pub(in crate::storage) async fn a_folder_of_too_many_trees_stays_whole(world: World) {
    let chain = world.chain("ada", "ab").await;
    let mut trees = Vec::new();
    for (minute, folder) in [(0, 0), (1, 1), (2, 1)] {
        let folder = Some(chain[folder].id);
        trees.push(world.tree("ada", minute, |t| t.content.folder_id = folder).await);
    }
    let beside = world.folder("ada", None, "c").await;
    world.tree("ada", 3, |t| t.content.folder_id = Some(beside.id)).await;
    let begin = world.store.last_change().await.unwrap();
    let deletion = Deletion::new(minute_of_test(5), RETENTION);
    let (top, fresh) = (chain[0].id, world.etag());
    let delete =
        async |most| world.store.delete_subtree(top, "ada", None, deletion, &fresh, most).await;
    for most in [0, 2] {
        let refused = delete(most).await;
        assert!(matches!(refused, Err(StoreError::FolderTooLarge)), "{refused:?}");
    }
    for tree in trees {
        assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);
    }
    assert_eq!(world.store.last_change().await.unwrap(), begin);
    assert_eq!(delete(3).await.unwrap(), Deleted { folders: 2, trees: 3 });
}

/// Whichever comes first: the tree is deleted with the folder, or refused and where it was.
pub(in crate::storage) async fn what_is_filed_while_its_folder_is_deleted_is_never_lost(
    world: World,
) {
    let mut both = (0, 0);
    for round in 0..20 {
        let top = world.folder("ada", None, "a").await;
        let below = world.folder("ada", Some(top.id), "b").await;
        let tree = world.tree("ada", round, |_| {}).await;
        let edit = Edit { folder_id: Some(Some(below.id)), ..Edit::default() };
        let file = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(4));
        let (delete, file) = (world.delete_all(top.id, "ada"), world.write(&tree, file));
        let (deleted, filed) = if round % 2 == 0 {
            tokio::join!(delete, file)
        } else {
            let (filed, deleted) = tokio::join!(file, delete);
            (deleted, filed)
        };
        let now = world.store.tree(tree.id, "ada").await.unwrap();
        match (deleted.unwrap().trees, filed) {
            (1, Ok(_)) => {
                both.0 += 1;
                assert!(now.deletion.is_some());
            }
            (0, Err(StoreError::FolderNotFound)) => {
                both.1 += 1;
                assert_eq!(now, tree);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(now.content.folder_id, None);
        let late = world.a_folder("ada", Some(top.id), "c");
        let created = world.store.insert_folder(&late, MOST).await;
        assert!(matches!(created, Err(StoreError::FolderNotFound)));
        assert!(world.outline("ada", None).await.unwrap().is_empty());
    }
    let listed = world.titles(&everything_of("ada")).await.len();
    let now = minute_of_test(6);
    let deleted = world.store.deleted_trees("ada", now, None, 100).await.unwrap().len();
    assert_eq!((deleted, listed), both);
    assert!(deleted > 0 && listed > 0, "only one of them ever came first: {both:?}");
}
