//! Many trees at once, out and in.

use std::time::Duration;

use super::{World, minute_of_test};
use crate::{
    domain::{
        id::{FolderId, TreeId},
        import::Progress,
        tree::Tree,
    },
    storage::{ImportError, ImportStep, StoreError, TreeKey},
};

const LIFE: Duration = Duration::from_secs(60);

impl World {
    async fn keys(&self, owner: &str, folder: Option<FolderId>, limit: i64) -> Vec<TreeId> {
        let (mut all, mut after) = (Vec::new(), None::<TreeKey>);
        loop {
            let keys = self.store.tree_keys(owner, folder, after.as_ref(), limit).await.unwrap();
            let Some(last) = keys.last() else { return all };
            after = Some(last.clone());
            all.extend(keys.into_iter().map(|key| key.id));
            assert!(all.len() < 1_000, "the export does not come to an end");
        }
    }

    fn some_trees(&self, count: u64) -> Vec<Tree> {
        (0..count).map(|minute| self.a_tree("ada", minute)).collect()
    }
}

fn progress(created: i64) -> Progress {
    Progress { created, digest: [u8::try_from(created).unwrap(); 32] }
}

fn step(before: i64, after: i64, minute: u64) -> ImportStep {
    let now = minute_of_test(minute);
    ImportStep {
        owner: "ada".into(),
        key: "key".into(),
        before,
        after: progress(after),
        now,
        expires_at: now + LIFE,
    }
}

pub(in crate::storage) async fn own_trees_are_gone_through_oldest_first(world: World) {
    let chain = world.chain("ada", "abc").await;
    let mut expected = Vec::new();
    for i in 0..12_u64 {
        // Some of the same instant, so that ids must break the tie.
        let folder = chain.get(usize::try_from(i % 4).unwrap()).map(|folder| folder.id);
        let tree = world.tree("ada", 100 - i / 3, |t| t.content.folder_id = folder).await;
        expected.push((tree.created_at, tree.id, folder));
    }
    world.tree("bob", 0, |_| {}).await;
    let deleted = world.tree("ada", 0, |t| t.content.folder_id = Some(chain[1].id)).await;
    world.delete(&deleted, 1).await;
    expected.sort_unstable_by_key(|&(at, id, _)| (at, id));
    for limit in [1, 2, 5, 100] {
        let ids: Vec<_> = expected.iter().map(|&(_, id, _)| id).collect();
        assert_eq!(world.keys("ada", None, limit).await, ids, "{limit} at a time");
        for (from, top) in chain.iter().enumerate() {
            let below: Vec<_> = chain[from..].iter().map(|folder| Some(folder.id)).collect();
            let filed = expected.iter().filter(|(.., folder)| below.contains(folder));
            let ids: Vec<_> = filed.map(|&(_, id, _)| id).collect();
            assert_eq!(world.keys("ada", Some(top.id), limit).await, ids, "below {from}");
            assert_eq!(world.keys("bob", Some(top.id), limit).await, []);
        }
    }
}

pub(in crate::storage) async fn a_group_is_created_wholly_or_not_at_all(world: World) {
    let begin = world.store.last_change().await.unwrap();
    let mut trees = world.some_trees(3);
    trees[1].content.folder_id = Some(FolderId::new(minute_of_test(0), world.entropy()));
    let step = step(0, 3, 0);
    for step in [None, Some(&step)] {
        let refused = world.store.import_trees(&trees, step).await;
        let Err(ImportError::Tree(1, StoreError::FolderNotFound)) = refused else {
            panic!("{refused:?}");
        };
    }
    assert_eq!(world.keys("ada", None, 10).await, []);
    assert_eq!(world.store.import("ada", "key", minute_of_test(0)).await.unwrap(), None);
    assert_eq!(world.store.last_change().await.unwrap(), begin);
    trees[1].content.folder_id = None;
    world.store.import_trees(&trees, Some(&step)).await.unwrap();
    for tree in &trees {
        assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), *tree);
    }
    assert_eq!(world.store.last_change().await.unwrap().seq, begin.seq + 3);
    let (_, revisions) = world.store.revisions(trees[0].id, "ada", None, 10).await.unwrap();
    assert_eq!(revisions.len(), 1);
}

pub(in crate::storage) async fn of_two_streams_of_one_import_one_goes_on(world: World) {
    let import = async |step: &ImportStep| {
        let trees = world.some_trees(u64::try_from(step.after.created - step.before).unwrap());
        world.store.import_trees(&trees, Some(step)).await
    };
    let there = async |minute| world.store.import("ada", "key", minute_of_test(minute)).await;
    // What has come nowhere cannot have come farther.
    assert!(matches!(import(&step(2, 3, 0)).await, Err(ImportError::Running)));
    import(&step(0, 2, 0)).await.unwrap();
    assert_eq!(there(0).await.unwrap(), Some(progress(2)));
    for stale in [step(0, 1, 0), step(1, 2, 0), step(3, 4, 0)] {
        assert!(matches!(import(&stale).await, Err(ImportError::Running)), "{stale:?}");
    }
    let (next, other) = (step(2, 3, 0), step(2, 3, 0));
    let both = tokio::join!(import(&next), import(&other));
    assert!(
        matches!(both, (Ok(()), Err(ImportError::Running)) | (Err(ImportError::Running), Ok(()))),
        "{both:?}"
    );
    assert_eq!(world.keys("ada", None, 10).await.len(), 3);
    // Another owner's of the same name, and another name.
    for (owner, key) in [("bob", "key"), ("ada", "another")] {
        let step = ImportStep { owner: owner.into(), key: key.into(), ..step(0, 1, 0) };
        assert_eq!(world.store.import(owner, key, minute_of_test(0)).await.unwrap(), None);
        import(&step).await.unwrap();
    }
    assert_eq!(there(0).await.unwrap(), Some(progress(3)));
}

pub(in crate::storage) async fn an_import_runs_out(world: World) {
    let there =
        async |minute| world.store.import("ada", "key", minute_of_test(minute)).await.unwrap();
    let trees = world.some_trees(1);
    world.store.import_trees(&trees, Some(&step(0, 1, 0))).await.unwrap();
    assert_eq!((there(0).await, there(1).await), (Some(progress(1)), None));
    assert_eq!(world.store.trim_imports(minute_of_test(0), 10).await.unwrap(), 0);
    // It begins anew, whether or not what has run out is there still.
    let trees = world.some_trees(2);
    world.store.import_trees(&trees, Some(&step(0, 2, 1))).await.unwrap();
    assert_eq!((there(1).await, there(2).await), (Some(progress(2)), None));
    assert_eq!(world.store.trim_imports(minute_of_test(2), 0).await.unwrap(), 0);
    assert_eq!(world.store.trim_imports(minute_of_test(2), 10).await.unwrap(), 1);
    assert_eq!(there(1).await, None);
}
