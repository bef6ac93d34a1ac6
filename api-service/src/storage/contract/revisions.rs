//! What trees read at each time.

use super::{World, minute_of_test, nodes};
use crate::{
    domain::{
        revision::{KEPT, Revision},
        tree::{Edit, Status, Tree, Visibility},
    },
    storage::StoreError,
};

async fn retitle(world: &World, tree: &Tree, title: &str, minute: u64) -> Tree {
    let edit = Edit { title: Some(title.into()), ..Edit::default() };
    let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(minute));
    world.write(tree, edit).await.unwrap()
}

pub(in crate::storage) async fn what_a_tree_read_stays_readable(world: World) {
    let first = world
        .tree("ada", 0, |t| {
            t.content.nodes = nodes(3);
            t.content.tags = vec!["a\"b".into()];
        })
        .await;
    let second = retitle(&world, &first, "second", 1).await;
    let edit = Edit { nodes: Some(nodes(1)), tags: Some(Vec::new()), ..Edit::default() };
    let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(2));
    let third = world.write(&second, edit).await.unwrap();
    let expected = [Revision::of(&third), Revision::of(&second), Revision::of(&first)];
    for (i, revision) in expected.iter().enumerate() {
        assert_eq!(revision.number, 3 - i as i64);
        let (tree, found) = world.store.revision(first.id, "ada", revision.number).await.unwrap();
        assert_eq!(found.as_ref(), Some(revision));
        assert_eq!(tree, third.clone().without_nodes());
    }
    for missing in [0, 4] {
        let (_, found) = world.store.revision(first.id, "ada", missing).await.unwrap();
        assert_eq!(found, None, "{missing}");
    }
    let listed = expected.clone().map(Revision::without_nodes);
    for (before, limit, range) in [
        (None, 10, 0..3),
        (None, 2, 0..2),
        (Some(3), 10, 1..3),
        (Some(2), 1, 2..3),
        (Some(1), 9, 3..3),
    ] {
        let (tree, found) = world.store.revisions(first.id, "ada", before, limit).await.unwrap();
        assert_eq!(found, listed[range], "{before:?}, {limit}");
        assert_eq!(tree, third.clone().without_nodes());
    }
    let to = expected[2].clone();
    let back = |tree: Tree, etag| tree.rolled_back(to, etag, minute_of_test(3));
    let fourth = world.write(&third, back).await.unwrap();
    assert_eq!(world.store.tree(first.id, "ada").await.unwrap(), fourth);
    assert_eq!((fourth.revision, &fourth.content), (4, &first.content));
}

pub(in crate::storage) async fn what_moves_a_tree_writes_no_revision(world: World) {
    let folder = world.folder("ada", None, "f").await;
    let category = world.category("c", 0).await.unwrap();
    let tree = world.tree("ada", 0, |t| t.content.nodes = nodes(2)).await;
    let edit = Edit {
        folder_id: Some(Some(folder.id)),
        category_id: Some(Some(category.id)),
        status: Some(Status::Published),
        visibility: Some(Visibility::Shared),
        title: Some(tree.content.title.clone()),
        ..Edit::default()
    };
    let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(1));
    let moved = world.write(&tree, edit).await.unwrap();
    assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), moved);
    let (head, revisions) = world.store.revisions(tree.id, "ada", None, 10).await.unwrap();
    assert_eq!(head.revision, 1);
    assert_eq!(revisions, [Revision::of(&tree).without_nodes()]);
}

pub(in crate::storage) async fn the_newest_hundred_revisions_are_kept(world: World) {
    let other = world.tree("ada", 0, |_| {}).await;
    let mut tree = world.tree("ada", 0, |_| {}).await;
    for i in 2..=KEPT + 2 {
        tree = retitle(&world, &tree, &i.to_string(), 1).await;
    }
    let (_, revisions) = world.store.revisions(tree.id, "ada", None, 1_000).await.unwrap();
    let numbers: Vec<_> = revisions.iter().map(|revision| revision.number).collect();
    let newest: Vec<_> = (3..=KEPT + 2).rev().collect();
    assert_eq!((numbers.len(), numbers), (100, newest));
    let (_, gone) = world.store.revision(tree.id, "ada", 2).await.unwrap();
    assert_eq!(gone, None);
    let (_, revisions) = world.store.revisions(other.id, "ada", None, 10).await.unwrap();
    assert_eq!(revisions.len(), 1);
}

pub(in crate::storage) async fn revisions_are_read_by_whoever_may_read_the_tree(world: World) {
    let private = world.tree("ada", 0, |_| {}).await;
    let shared = world.tree("ada", 1, |t| t.content.visibility = Visibility::Shared).await;
    let missing = world.a_tree("ada", 2);
    for (tree, reader, found) in [
        (&private, "ada", true),
        (&private, "eve", false),
        (&shared, "eve", true),
        (&missing, "ada", false),
    ] {
        let results = [
            world.store.revisions(tree.id, reader, None, 10).await.map(drop),
            world.store.revision(tree.id, reader, 1).await.map(drop),
        ];
        for result in results {
            match result {
                Ok(()) => assert!(found),
                Err(StoreError::TreeNotFound) => assert!(!found),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
