//! Trees that are deleted, brought back and purged.

use super::{RETENTION, World, everything_of, minute_of_test, nodes};
use crate::{
    domain::tree::{Edit, Tree, Visibility},
    storage::{DeletedKey, StoreError, TreeFilter},
};

pub(in crate::storage) async fn a_deleted_tree_is_its_owners_alone(world: World) {
    let tree = world.tree("ada", 0, |t| t.content.visibility = Visibility::Shared).await;
    let deleted = world.delete(&tree, 1).await;
    assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), deleted);
    let of_another = [
        world.store.tree(tree.id, "eve").await.map(drop),
        world.store.revisions(tree.id, "eve", None, 1).await.map(drop),
        world.store.revision(tree.id, "eve", 1).await.map(drop),
    ];
    for read in of_another {
        assert!(matches!(read, Err(StoreError::TreeNotFound)), "{read:?}");
    }
    for reader in ["ada", "eve"] {
        assert!(world.titles(&everything_of(reader)).await.is_empty());
    }
    let now = minute_of_test(2);
    let listed = world.store.deleted_trees("ada", now, None, 10).await.unwrap();
    assert_eq!(listed, [deleted.without_nodes()]);
    assert!(world.store.deleted_trees("eve", now, None, 10).await.unwrap().is_empty());
    // From its purge on it counts as gone, whether or not it has been purged.
    let due = minute_of_test(1) + RETENTION;
    assert!(world.store.deleted_trees("ada", due, None, 10).await.unwrap().is_empty());
}

pub(in crate::storage) async fn a_deleted_tree_comes_back_as_it_was_but_unfiled(world: World) {
    let folder = world.folder("ada", None, "f").await;
    let tree = world
        .tree("ada", 0, |t| {
            t.content.folder_id = Some(folder.id);
            t.content.nodes = nodes(3);
        })
        .await;
    let deleted = world.delete(&tree, 1).await;
    let undeleted = |tree: Tree, etag| tree.undeleted(etag, minute_of_test(2));
    let back = world.write(&deleted, undeleted).await.unwrap();
    let mut expected = tree.clone();
    expected.content.folder_id = None;
    expected.etag = back.etag.clone();
    expected.updated_at = minute_of_test(2);
    assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), expected);
    assert_eq!(world.titles(&everything_of("ada")).await, ["tree 0"]);
    let (_, revisions) = world.store.revisions(tree.id, "ada", None, 10).await.unwrap();
    assert_eq!(revisions.len(), 1);
}

pub(in crate::storage) async fn deleted_trees_are_listed_last_deleted_first_and_once(world: World) {
    let mut expected = Vec::new();
    for i in 0..12 {
        let tree = world.tree("ada", i, |_| {}).await;
        // Three at a time, so that ids must break the tie, and not in the order of creation.
        let minute = 100 + (i % 4);
        world.delete(&tree, minute).await;
        expected.push((minute_of_test(minute), tree.id));
    }
    world.tree("ada", 50, |_| {}).await;
    expected.sort_unstable();
    expected.reverse();
    for limit in [1, 5, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let now = minute_of_test(110);
            let page = world.store.deleted_trees("ada", now, after.as_ref(), limit).await.unwrap();
            let keys = page.iter().map(|tree| (tree.deletion.unwrap().deleted_at, tree.id));
            found.extend(keys);
            assert!(found.len() < 100, "the list does not come to an end");
            match found.last() {
                Some(&(deleted_at, id)) if !page.is_empty() => {
                    after = Some(DeletedKey { deleted_at, id });
                }
                _ => break,
            }
        }
        assert_eq!(found, expected, "{limit} at a time");
    }
}

pub(in crate::storage) async fn a_deleted_tree_is_in_no_folder_and_still_in_its_category(
    world: World,
) {
    let folder = world.folder("ada", None, "f").await;
    let category = world.category("c", 0).await.unwrap();
    let tree = world
        .tree("ada", 0, |t| {
            t.content.folder_id = Some(folder.id);
            t.content.category_id = Some(category.id);
        })
        .await;
    world.delete(&tree, 1).await;
    let filter = TreeFilter { folder_id: Some(folder.id), ..everything_of("ada") };
    assert!(world.titles(&filter).await.is_empty());
    world.store.delete_folder(folder.id, "ada", None, world.stamp()).await.unwrap();
    let held = world.store.delete_category(category.id, None, world.stamp()).await;
    assert!(matches!(held, Err(StoreError::CategoryInUse)), "{held:?}");
}

pub(in crate::storage) async fn what_is_due_is_purged_batch_by_batch_and_nothing_else(
    world: World,
) {
    let kept = world.tree("ada", 0, |_| {}).await;
    let mut deleted = Vec::new();
    for minute in 1..=5 {
        let tree = world.tree("ada", minute, |t| t.content.nodes = nodes(2)).await;
        let edit = Edit { title: Some("another".into()), ..Edit::default() };
        let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(minute));
        let tree = world.write(&tree, edit).await.unwrap();
        deleted.push(world.delete(&tree, minute).await);
    }
    let purge = async |minute: u64, most: i64| {
        world.store.purge(minute_of_test(minute) + RETENTION, most).await.unwrap()
    };
    assert_eq!(purge(0, 10).await, 0);
    // Two are due, then all but the last.
    assert_eq!(purge(2, 1).await, 1);
    assert_eq!(purge(2, 10).await, 1);
    assert_eq!(purge(4, 2).await, 2);
    assert_eq!(purge(4, 2).await, 0);
    for (i, tree) in deleted.iter().enumerate() {
        let read = world.store.tree(tree.id, "ada").await;
        assert_eq!(read.is_ok(), i == 4, "{i}: {read:?}");
        let undeleted = |tree: Tree, etag| tree.undeleted(etag, minute_of_test(9));
        let back = world.write(tree, undeleted).await;
        assert_eq!(back.is_ok(), i == 4, "{i}: {back:?}");
    }
    assert_eq!(purge(1_000, 10).await, 0);
    assert_eq!(world.store.tree(kept.id, "ada").await.unwrap(), kept);
}
