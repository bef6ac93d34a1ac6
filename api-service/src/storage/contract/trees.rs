//! Trees, and who reads and writes them.

use super::{RETENTION, World, everything_of, minute_of_test, nodes};
use crate::{
    domain::{
        etag::Etag,
        folder::{Folder, MOST},
        id::{CategoryId, FolderId},
        node::Nodes,
        tree::{self, Deletion, Edit, Status, Tree, Visibility},
    },
    storage::{StoreError, TreeFilter, TreeKey},
};

pub(in crate::storage) async fn a_tree_comes_back_as_it_was_written(world: World) {
    let folder = world.folder("ada", None, "f").await;
    let category = world.category("c", 0).await.unwrap();
    for (minute, count) in [(0, 0), (1, 1), (2, Nodes::MOST)] {
        let tree = world
            .tree("ada", minute, |tree| {
                tree.content = tree::Content {
                    title: "Title".into(),
                    description: "line\nline".into(),
                    category_id: Some(category.id),
                    folder_id: Some(folder.id),
                    status: Status::Archived,
                    visibility: Visibility::Shared,
                    tags: vec!["a\"b".into(), "ü".into()],
                    nodes: nodes(count),
                };
            })
            .await;
        assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);
        let edit = Edit { nodes: Some(nodes(count / 2)), folder_id: Some(None), ..Edit::default() };
        let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(99));
        let tree = world.write(&tree, edit).await.unwrap();
        assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);
    }
}

pub(in crate::storage) async fn what_is_private_is_not_found_by_others(world: World) {
    let private = world.tree("ada", 0, |_| {}).await;
    let shared = world.tree("ada", 1, |t| t.content.visibility = Visibility::Shared).await;
    let missing = world.a_tree("eve", 2);
    for id in [private.id, missing.id] {
        let read = world.store.tree(id, "eve").await;
        assert!(matches!(read, Err(StoreError::TreeNotFound)));
    }
    assert!(world.store.tree(shared.id, "eve").await.is_ok());
    for mut tree in [private, shared] {
        // Shared or not, it is written by its owner alone.
        let seen = tree.etag.clone();
        tree.owner_id = "eve".into();
        let written = world.store.update_tree(&tree, &seen).await;
        assert!(matches!(written, Err(StoreError::TreeNotFound)));
        assert!(world.store.tree(tree.id, "ada").await.is_ok());
    }
    let folder = world.folder("ada", None, "f").await;
    let read = world.store.folder(folder.id, "eve").await;
    assert!(matches!(read, Err(StoreError::FolderNotFound)));
    let deleted = world.store.delete_folder(folder.id, "eve", None, world.stamp()).await;
    assert!(matches!(deleted, Err(StoreError::FolderNotFound)));
    let seen = folder.etag.clone();
    let taken = Folder { owner_id: "eve".into(), ..folder };
    let written = world.store.update_folder(&taken, &seen).await;
    assert!(matches!(written, Err(StoreError::FolderNotFound)));
    assert!(world.store.folders("eve", None, None, 10).await.unwrap().is_empty());
}

pub(in crate::storage) async fn of_two_writers_who_saw_the_same_tree_one_is_stale(world: World) {
    let mut current = world.tree("ada", 0, |_| {}).await;
    for round in 0..20 {
        let write = |name: &str| {
            let mut next = current.clone();
            next.content.title = format!("{name} {round}");
            next.etag = Etag::new(world.entropy());
            next
        };
        let (a, b) = (write("a"), write("b"));
        let results = tokio::join!(
            world.store.update_tree(&a, &current.etag),
            world.store.update_tree(&b, &current.etag)
        );
        current = match results {
            (Ok(()), Err(StoreError::EtagMismatch)) => a,
            (Err(StoreError::EtagMismatch), Ok(())) => b,
            both => panic!("{both:?}"),
        };
        assert_eq!(world.store.tree(current.id, "ada").await.unwrap(), current);
    }
}

pub(in crate::storage) async fn a_stale_etag_writes_and_deletes_nothing(world: World) {
    let stale = Etag("stale".into());
    let is_stale = |result| matches!(result, Err(StoreError::EtagMismatch));
    let tree = world.tree("ada", 0, |t| t.content.nodes = nodes(3)).await;
    let mut other = tree.clone();
    other.content.nodes = nodes(1);
    assert!(is_stale(world.store.update_tree(&other, &stale).await));
    let deletion = Deletion::new(minute_of_test(1), RETENTION);
    let deleted = tree.clone().deleted(deletion, world.etag()).unwrap();
    assert!(is_stale(world.store.update_tree(&deleted, &stale).await));
    assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);

    let folder = world.folder("ada", None, "f").await;
    let mut other = folder.clone();
    other.content.name = "g".into();
    assert!(is_stale(world.store.update_folder(&other, &stale).await));
    assert!(is_stale(
        world.store.delete_folder(folder.id, "ada", Some(&stale), world.stamp()).await
    ));
    assert_eq!(world.store.folder(folder.id, "ada").await.unwrap(), folder);

    let category = world.category("c", 0).await.unwrap();
    let mut other = category.clone();
    other.content.slug = "d".into();
    assert!(is_stale(world.store.update_category(&other, &stale).await));
    assert!(is_stale(world.store.delete_category(category.id, Some(&stale), world.stamp()).await));
    assert_eq!(world.store.category(category.id).await.unwrap(), category);
}

pub(in crate::storage) async fn references_are_the_owners_own(world: World) {
    let foreign = world.folder("eve", None, "f").await;
    let missing = FolderId::new(minute_of_test(5), world.entropy());
    for folder in [foreign.id, missing] {
        let mut tree = world.a_tree("ada", 0);
        tree.content.folder_id = Some(folder);
        let written = world.store.insert_tree(&tree).await;
        assert!(matches!(written, Err(StoreError::FolderNotFound)));
        let written =
            world.store.insert_folder(&world.a_folder("ada", Some(folder), "g"), MOST).await;
        assert!(matches!(written, Err(StoreError::FolderNotFound)));
        let mine = world.folder("ada", None, &folder.to_string()).await;
        assert!(matches!(world.put(&mine, Some(folder)).await, Err(StoreError::FolderNotFound)));
    }
    let mut tree = world.tree("ada", 0, |_| {}).await;
    tree.content.category_id = Some(CategoryId::new(minute_of_test(5), world.entropy()));
    let written = world.store.update_tree(&tree, &tree.etag).await;
    assert!(matches!(written, Err(StoreError::CategoryNotFound)));
}

pub(in crate::storage) async fn trees_are_listed_newest_first_and_once(world: World) {
    let mut expected = Vec::new();
    for minute in 0..30 {
        // Three trees of the same instant each, so that ids must break the tie.
        let at = minute / 3;
        let owner = if minute % 2 == 0 { "ada" } else { "bob" };
        let shared = minute % 5 == 0;
        let tree = world
            .tree(owner, at, |t| {
                t.content.title = minute.to_string();
                if shared {
                    t.content.visibility = Visibility::Shared;
                }
            })
            .await;
        if owner == "ada" || shared {
            expected.push((tree.created_at, tree.id.0));
        }
    }
    expected.sort_unstable();
    expected.reverse();
    for limit in [1, 2, 7, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page =
                world.store.trees(&everything_of("ada"), after.as_ref(), limit).await.unwrap();
            found.extend(page.iter().map(|tree| (tree.created_at, tree.id.0)));
            assert!(found.len() < 1_000, "the list does not come to an end");
            // Newer ones, which belong before every page to come, are neither shown nor in the way.
            world.tree("ada", 1_000, |t| t.content.visibility = Visibility::Shared).await;
            match page.last() {
                Some(last) => {
                    after = Some(TreeKey { created_at: last.created_at, id: last.id });
                }
                None => break,
            }
        }
        let found: Vec<_> =
            found.into_iter().filter(|(at, _)| *at < minute_of_test(1_000)).collect();
        assert_eq!(found, expected, "{limit} at a time");
    }
}

pub(in crate::storage) async fn trees_are_filtered(world: World) {
    let folder = world.folder("ada", None, "f").await;
    let category = world.category("c", 0).await.unwrap();
    world.tree("ada", 1, |t| t.content.folder_id = Some(folder.id)).await;
    world.tree("ada", 2, |t| t.content.category_id = Some(category.id)).await;
    world.tree("ada", 3, |t| t.content.status = Status::Published).await;
    world
        .tree("bob", 4, |t| {
            t.content.category_id = Some(category.id);
            t.content.status = Status::Published;
            t.content.visibility = Visibility::Shared;
        })
        .await;
    world.tree("bob", 5, |t| t.content.category_id = Some(category.id)).await;
    let all = || everything_of("ada");
    for (filter, titles) in [
        (all(), &["tree 4", "tree 3", "tree 2", "tree 1"][..]),
        (TreeFilter { folder_id: Some(folder.id), ..all() }, &["tree 1"]),
        (TreeFilter { category_id: Some(category.id), ..all() }, &["tree 4", "tree 2"]),
        (TreeFilter { status: Some(Status::Published), ..all() }, &["tree 4", "tree 3"]),
        (TreeFilter { status: Some(Status::Draft), ..all() }, &["tree 2", "tree 1"]),
        (TreeFilter { status: Some(Status::Archived), ..all() }, &[]),
        (
            TreeFilter { category_id: Some(category.id), status: Some(Status::Published), ..all() },
            &["tree 4"],
        ),
        (TreeFilter { folder_id: Some(folder.id), ..everything_of("bob") }, &[]),
        (TreeFilter { mine: true, ..all() }, &["tree 3", "tree 2", "tree 1"]),
        (TreeFilter { mine: true, status: Some(Status::Published), ..all() }, &["tree 3"]),
        (TreeFilter { mine: true, category_id: Some(category.id), ..all() }, &["tree 2"]),
        (TreeFilter { mine: true, ..everything_of("eve") }, &[]),
    ] {
        assert_eq!(world.titles(&filter).await, titles, "{filter:?}");
    }
}
