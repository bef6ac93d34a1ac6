//! Folders: their names, how deep they nest, and where they go.

use super::World;
use crate::{
    domain::folder::{DEEPEST, MOST},
    storage::{FolderKey, StoreError},
};

pub(in crate::storage) async fn siblings_have_different_names(world: World) {
    let top = world.folder("ada", None, "a").await;
    let below = world.folder("ada", Some(top.id), "a").await;
    world.folder("bob", None, "a").await;
    world.folder("ada", None, "A").await;
    for parent in [None, Some(top.id)] {
        let again = world.store.insert_folder(&world.a_folder("ada", parent, "a"), MOST).await;
        assert!(matches!(again, Err(StoreError::FolderNameTaken)));
    }
    assert!(matches!(world.put(&below, None).await, Err(StoreError::FolderNameTaken)));
    let mut renamed = world.folder("ada", None, "b").await;
    renamed.content.name = "a".into();
    let written = world.store.update_folder(&renamed, &renamed.etag).await;
    assert!(matches!(written, Err(StoreError::FolderNameTaken)));
}

pub(in crate::storage) async fn folders_nest_sixteen_deep(world: World) {
    let names: String = ('a'..).take(DEEPEST).collect();
    let chain = world.chain("ada", &names).await;
    let deepest = chain.last().unwrap();
    let deeper =
        world.store.insert_folder(&world.a_folder("ada", Some(deepest.id), "x"), MOST).await;
    assert!(matches!(deeper, Err(StoreError::FolderTooDeep)));
    // What is moved brings along what it holds.
    let pair = world.chain("ada", "xy").await;
    let (fits, too_deep) = (chain[DEEPEST - 3].id, chain[DEEPEST - 2].id);
    let refused = world.put(&pair[0], Some(too_deep)).await;
    assert!(matches!(refused, Err(StoreError::FolderTooDeep)));
    world.put(&pair[0], Some(fits)).await.unwrap();
}

pub(in crate::storage) async fn a_folder_is_not_moved_into_itself(world: World) {
    let chain = world.chain("ada", "abcd").await;
    for into in &chain[1..] {
        let moved = world.put(&chain[1], Some(into.id)).await;
        assert!(matches!(moved, Err(StoreError::FolderCycle)));
    }
    world.put(&chain[2], None).await.unwrap();
    world.put(&chain[1], Some(chain[3].id)).await.unwrap();
}

pub(in crate::storage) async fn of_two_racing_moves_that_make_a_ring_one_is_refused(world: World) {
    for round in 0..20 {
        let a = world.folder("ada", None, &format!("a{round}")).await;
        let b = world.folder("ada", None, &format!("b{round}")).await;
        let results = tokio::join!(world.put(&a, Some(b.id)), world.put(&b, Some(a.id)));
        assert!(
            matches!(
                results,
                (Ok(()), Err(StoreError::FolderCycle)) | (Err(StoreError::FolderCycle), Ok(()))
            ),
            "{results:?}"
        );
    }
}

pub(in crate::storage) async fn a_folder_that_holds_something_stays(world: World) {
    let chain = world.chain("ada", "ab").await;
    let held = world.store.delete_folder(chain[0].id, "ada", None, world.stamp()).await;
    assert!(matches!(held, Err(StoreError::FolderNotEmpty)));
    let tree = world.tree("ada", 0, |t| t.content.folder_id = Some(chain[1].id)).await;
    let held = world.store.delete_folder(chain[1].id, "ada", None, world.stamp()).await;
    assert!(matches!(held, Err(StoreError::FolderNotEmpty)));
    world.delete(&tree, 1).await;
    for folder in chain.iter().rev() {
        world
            .store
            .delete_folder(folder.id, "ada", Some(&folder.etag), world.stamp())
            .await
            .unwrap();
    }
    let again = world.store.delete_folder(chain[0].id, "ada", None, world.stamp()).await;
    assert!(matches!(again, Err(StoreError::FolderNotFound)));
}

pub(in crate::storage) async fn folders_are_listed_by_position_and_name(world: World) {
    let mut expected = Vec::new();
    for i in 0..12 {
        let mut folder = world.a_folder("ada", None, &format!("f{i}"));
        folder.content.position = i % 4 - 2;
        world.store.insert_folder(&folder, MOST).await.unwrap();
        expected.push((folder.content.position, folder.content.name));
    }
    expected.sort();
    let (mut found, mut after): (Vec<(i32, String)>, _) = (Vec::new(), None);
    loop {
        let page = world.store.folders("ada", None, after.as_ref(), 5).await.unwrap();
        found.extend(page.into_iter().map(|f| (f.content.position, f.content.name)));
        let next = found.last().cloned().map(|(position, name)| FolderKey { position, name });
        if next == after {
            break;
        }
        after = next;
        let first = world.store.folders("ada", None, None, 1).await.unwrap().remove(0);
        world.folder("ada", Some(first.id), &format!("{after:?}")).await;
    }
    assert_eq!(found, expected);
}
