//! Categories that go, and whose trees move to another.

use super::{RETENTION, World, everything_of, minute_of_test};
use crate::{
    domain::{
        category::Category,
        folder::MOST_TREES,
        tree::{Deletion, Edit, Tree, Visibility},
    },
    storage::{Step, StoreError, Target, TreeFilter},
};

impl World {
    fn target(&self, into: &Category) -> Target {
        Target { id: into.id, etag: self.etag(), now: minute_of_test(50) }
    }
}

pub(in crate::storage) async fn trees_move_batch_by_batch_and_the_category_goes_with_the_last(
    world: World,
) {
    let from = world.category("from", 0).await.unwrap();
    let into = world.category("into", 0).await.unwrap();
    let in_it = |t: &mut Tree| t.content.category_id = Some(from.id);
    for (minute, owner) in [(0, "ada"), (1, "eve"), (2, "bob"), (3, "bob")] {
        world.tree(owner, minute, in_it).await;
    }
    let deleted = world.tree("ada", 4, in_it).await;
    let deleted = world.delete(&deleted, 5).await;
    let unchanged = world.tree("ada", 6, |t| t.content.category_id = Some(into.id)).await;
    for (most, moved, done) in [(2, 2, false), (2, 2, false), (2, 1, true)] {
        let target = world.target(&into);
        let step = world.store.merge_category(from.id, Some(&from.etag), &target, most).await;
        assert_eq!(step.unwrap(), Step { moved, done });
        assert_eq!(world.store.category(from.id).await.is_err(), done);
    }
    let mut counted = 0;
    for owner in ["ada", "eve", "bob"] {
        let filter = TreeFilter { category_id: Some(into.id), ..everything_of(owner) };
        counted += world.titles(&filter).await.len();
    }
    assert_eq!(counted, 5);
    let moved = world.store.tree(deleted.id, "ada").await.unwrap();
    let mut expected = Tree { updated_at: minute_of_test(50), ..deleted.clone() };
    expected.content.category_id = Some(into.id);
    expected.etag = moved.etag.clone();
    assert_eq!(moved, expected);
    assert_ne!(moved.etag, deleted.etag);
    assert_eq!(world.store.tree(unchanged.id, "ada").await.unwrap(), unchanged);
    // An empty one goes at once.
    let empty = world.category("empty", 0).await.unwrap();
    let step = world.store.merge_category(empty.id, None, &world.target(&into), 1).await;
    assert_eq!(step.unwrap(), Step { moved: 0, done: true });
}

pub(in crate::storage) async fn a_merge_that_is_refused_moves_nothing(world: World) {
    let from = world.category("from", 0).await.unwrap();
    let into = world.category("into", 0).await.unwrap();
    let tree = world.tree("ada", 0, |t| t.content.category_id = Some(from.id)).await;
    let target = world.target(&into);
    let stale = world.store.merge_category(from.id, Some(&world.etag()), &target, 10).await;
    assert!(matches!(stale, Err(StoreError::EtagMismatch)), "{stale:?}");
    world.store.delete_category(into.id, None, world.stamp()).await.unwrap();
    for (id, into) in [(from.id, &target), (into.id, &world.target(&from))] {
        let missing = world.store.merge_category(id, None, into, 10).await;
        assert!(matches!(missing, Err(StoreError::CategoryNotFound)), "{missing:?}");
    }
    assert_eq!(world.store.category(from.id).await.unwrap(), from);
    assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);
}

/// What one saw names a category or a folder that is gone now, and with it the etag.
pub(in crate::storage) async fn who_saw_a_tree_before_it_was_moved_is_stale(world: World) {
    let from = world.category("from", 0).await.unwrap();
    let into = world.category("into", 0).await.unwrap();
    let folder = world.folder("ada", None, "f").await;
    let merged = world.tree("ada", 0, |t| t.content.category_id = Some(from.id)).await;
    let filed = world.tree("ada", 1, |t| t.content.folder_id = Some(folder.id)).await;
    world.store.merge_category(from.id, None, &world.target(&into), 10).await.unwrap();
    let deletion = Deletion::new(minute_of_test(50), RETENTION);
    let fresh = world.etag();
    world.store.delete_subtree(folder.id, "ada", None, deletion, &fresh, MOST_TREES).await.unwrap();
    for seen in [merged, filed] {
        let edit = Edit { title: Some("new".into()), ..Edit::default() };
        let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(51));
        let written = world.write(&seen, edit).await;
        assert!(matches!(written, Err(StoreError::EtagMismatch)), "{written:?}");
        let now = world.store.tree(seen.id, "ada").await.unwrap();
        assert_eq!(now.content.title, seen.content.title);
    }
}

/// Whichever comes first: the tree moves with the others, or is refused and where it was.
pub(in crate::storage) async fn what_is_filed_while_its_category_is_merged_is_never_lost(
    world: World,
) {
    let into = world.category("into", 0).await.unwrap();
    let mut both = (0, 0);
    for round in 0..20 {
        let from = world.category("from", 0).await.unwrap();
        let tree = world.tree("ada", round, |t| t.content.visibility = Visibility::Shared).await;
        let edit = Edit { category_id: Some(Some(from.id)), ..Edit::default() };
        let file = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(30));
        let target = world.target(&into);
        let merge = world.store.merge_category(from.id, None, &target, 10);
        let file = world.write(&tree, file);
        let (merged, filed) = if round % 2 == 0 {
            tokio::join!(merge, file)
        } else {
            let (filed, merged) = tokio::join!(file, merge);
            (merged, filed)
        };
        let now = world.store.tree(tree.id, "ada").await.unwrap();
        match (merged.unwrap(), filed) {
            (Step { moved: 1, done: true }, Ok(_)) => {
                both.0 += 1;
                assert_eq!(now.content.category_id, Some(into.id));
            }
            (Step { moved: 0, done: true }, Err(StoreError::CategoryNotFound)) => {
                both.1 += 1;
                assert_eq!(now, tree);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(both.0 > 0 && both.1 > 0, "only one of them ever came first: {both:?}");
}
