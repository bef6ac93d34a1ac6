//! Watching what changes.

use std::{fs, path::Path};

use evergreen_proto::api::v1 as pb;
use tonic::{Code, Streaming};

use super::harness::{ADMIN, Caller, EDITOR, TestKeys, VIEWER, World, field, refused, said};

/// A stream and where it is.
struct Watcher {
    stream: Streaming<pb::WatchChangesResponse>,
    cursor: String,
}

impl Watcher {
    async fn new(caller: &Caller, cursor: &str) -> Self {
        let mut stream = caller.watch(cursor).await.unwrap();
        let first = stream.message().await.unwrap().unwrap();
        assert_eq!(first.change, None);
        assert!(!first.cursor.is_empty());
        Self { stream, cursor: first.cursor }
    }

    async fn next(&mut self) -> pb::Change {
        let response = self.stream.message().await.unwrap().unwrap();
        assert_ne!(response.cursor, self.cursor);
        self.cursor = response.cursor;
        response.change.unwrap()
    }

    /// So many changes, each in short.
    async fn told(&mut self, count: usize) -> String {
        let mut told = Vec::new();
        for _ in 0..count {
            told.push(short(&self.next().await));
        }
        told.join(" ")
    }
}

fn short(change: &pb::Change) -> String {
    let kind = match change.kind() {
        pb::ChangeKind::Unspecified => '?',
        pb::ChangeKind::Created => '+',
        pb::ChangeKind::Updated => '~',
        pb::ChangeKind::Deleted => '-',
    };
    let (name, id) = match change.resource.as_ref().unwrap() {
        pb::change::Resource::Category(it) => (&it.name, &it.category_id),
        pb::change::Resource::Folder(it) => (&it.name, &it.folder_id),
        pb::change::Resource::Tree(it) => (&it.title, &it.tree_id),
    };
    assert!(!id.is_empty());
    format!("{kind}{name}")
}

async fn set(caller: &Caller, tree: &pb::Tree, path: &str, change: impl FnOnce(&mut pb::Tree)) {
    let mut tree = pb::Tree { tree_id: tree.tree_id.clone(), ..Default::default() };
    change(&mut tree);
    let update_mask = Some(prost_types::FieldMask { paths: vec![path.into()] });
    caller.update_tree(pb::UpdateTreeRequest { tree: Some(tree), update_mask }).await.unwrap();
}

async fn drop_tree(caller: &Caller, tree: &pb::Tree) {
    let request = pb::DeleteTreeRequest { tree_id: tree.tree_id.clone(), ..Default::default() };
    caller.delete_tree(request).await.unwrap();
}

#[tokio::test]
async fn everybody_is_told_what_they_may_read_and_nothing_else() {
    let world = World::new().await;
    let (ada, root) = (world.caller("ada", EDITOR), world.caller("root", ADMIN));
    let eve = world.caller("eve", VIEWER);
    let mut of_ada = Watcher::new(&ada, "").await;
    let mut of_eve = Watcher::new(&eve, "").await;
    let mut of_root = Watcher::new(&root, "").await;

    root.category("Shelf").await;
    let folder = ada.folder("f", "").await;
    let tree = ada
        .tree("t", |t| {
            t.folder_id = folder.folder_id.clone();
            t.nodes = vec![pb::TreeNode {
                node_id: "a".into(),
                kind: pb::NodeKind::Action.into(),
                title: "Step".into(),
                ..Default::default()
            }];
        })
        .await;
    assert_eq!(of_ada.told(2).await, "+Shelf +f");
    // As it is listed.
    let made = of_ada.next().await;
    let listed = pb::Tree { nodes: Vec::new(), ..tree.clone() };
    assert_eq!(made.resource, Some(pb::change::Resource::Tree(listed)));
    let share = |t: &mut pb::Tree| t.visibility = pb::TreeVisibility::Shared.into();
    set(&ada, &tree, "visibility", share).await;
    assert_eq!(of_ada.told(1).await, "~t");
    for watcher in [&mut of_eve, &mut of_root] {
        assert_eq!(watcher.told(1).await, "+Shelf");
        let told = watcher.next().await;
        assert_eq!(short(&told), "+t");
        // Whose folders are whose is nobody else's business.
        let Some(pb::change::Resource::Tree(seen)) = told.resource else { panic!("no tree") };
        assert_eq!((seen.folder_id.as_str(), seen.owner_id.as_str()), ("", "ada"));
    }
    set(&ada, &tree, "title", |t| t.title = "t2".into()).await;
    assert_eq!(of_ada.told(1).await, "~t2");
    assert_eq!(of_eve.told(1).await, "~t2");
    set(&ada, &tree, "visibility", |_| {}).await;
    // Others are told no more than the id of what they may not read.
    let gone = pb::change::Resource::Tree(pb::Tree {
        tree_id: tree.tree_id.clone(),
        ..Default::default()
    });
    let told = of_eve.next().await;
    assert_eq!((told.kind(), told.resource), (pb::ChangeKind::Deleted, Some(gone)));
    set(&ada, &tree, "title", |t| t.title = "t3".into()).await;
    drop_tree(&ada, &tree).await;
    assert_eq!(of_ada.told(1).await, "~t2");
    let (updated, deleted) = (of_ada.next().await, of_ada.next().await);
    // It may be gone already when the change before that is read.
    assert!(["~t3", "-"].contains(&&*short(&updated)), "{updated:?}");
    assert_eq!(short(&deleted), "-");
    root.category("End").await;
    assert_eq!(of_eve.told(1).await, "+End");
    assert_eq!(of_root.told(3).await.replace("~t2", "~"), "~ - +End");
    assert_eq!(of_ada.told(1).await, "+End");
}

#[tokio::test]
async fn a_stream_goes_on_from_every_cursor_of_the_one_before() {
    let world = World::new().await;
    let (ada, bob) = (world.caller("ada", EDITOR), world.caller("bob", EDITOR));
    let mut watcher = Watcher::new(&ada, "").await;
    let mut cursors = vec![watcher.cursor.clone()];
    for i in 0..5 {
        ada.folder(&i.to_string(), "").await;
        // Which is nothing to ada.
        bob.folder(&i.to_string(), "").await;
        watcher.next().await;
        cursors.push(watcher.cursor.clone());
    }
    let names = ["+0", "+1", "+2", "+3", "+4"];
    for (i, cursor) in cursors.iter().enumerate() {
        let mut resumed = Watcher::new(&ada, cursor).await;
        let rest = names[i..].join(" ");
        assert_eq!(resumed.told(5 - i).await, rest, "from {i}");
    }
    // From the end on there is only what comes.
    let mut resumed = Watcher::new(&ada, &cursors[5]).await;
    ada.folder("5", "").await;
    assert_eq!(resumed.told(1).await, "+5");
}

#[tokio::test]
async fn a_cursor_is_ones_own_and_as_it_was_given() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let cursor = Watcher::new(&ada, "").await.cursor;
    for bad in ["x", "!", &cursor[1..20], &"A".repeat(5_000)] {
        assert_eq!(field(ada.watch(bad).await.map(drop)), "cursor", "{bad:.40}");
    }
    let expired = (Code::OutOfRange, "CURSOR_EXPIRED".to_owned());
    let eve = world.caller("eve", EDITOR);
    assert_eq!(refused(eve.watch(&cursor).await.map(drop)), expired);
    let nobody = world.caller("ada", &[]).watch("").await.map(drop);
    assert_eq!(refused(nobody), (Code::PermissionDenied, "PERMISSION_DENIED".into()));
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let mut watcher = Watcher::new(&ada, "").await;
    drop(ada);
    let ended = tokio::spawn(async move { watcher.stream.message().await });
    // It drains, which an open stream would hold up for ever.
    world.stop().await;
    let status = ended.await.unwrap().unwrap_err();
    assert_eq!(said(&status), (Code::Unavailable, "STORAGE_UNAVAILABLE".into()));
}

/// SQLite removes its log when the last connection closes.
#[tokio::test]
async fn a_server_that_has_stopped_has_left_its_files() {
    for seed in 0..10 {
        // A directory of its own: a process that another test is just starting holds a lock that was
        // given back, for a moment.
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(dir.path(), seed, TestKeys::Up, async |_| {}).await;
        let ada = world.caller("ada", EDITOR);
        ada.folder(&seed.to_string(), "").await;
        assert!(dir.path().join("api.db-wal").exists());
        // They go while something is read for them.
        for _ in 0..8 {
            drop(ada.watch("").await.unwrap());
        }
        drop(ada);
        world.stop().await;
        let left = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["api.db", "api.lock"], "life {seed}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn cursors_from_after_a_backup_expire_when_it_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup, fresh] = ["data", "backup", "fresh"].map(|name| dir.path().join(name));
    let life = async |data: &Path, seed: u64, from: &str, name: &str| {
        let world = World::on(data, seed, TestKeys::Up, async |_| {}).await;
        let ada = world.caller("ada", EDITOR);
        let answer = match ada.watch(from).await {
            Ok(_) => {
                let mut watcher = Watcher::new(&ada, from).await;
                ada.folder(name, "").await;
                Ok((watcher.told(1).await, watcher.cursor))
            }
            Err(status) => Err(said(&status)),
        };
        drop(ada);
        world.stop().await;
        answer
    };
    let (_, before) = life(&data, 1, "", "before").await.unwrap();
    copy(&data, &backup);
    let (told, lost) = life(&data, 2, &before, "lost").await.unwrap();
    assert_eq!(told, "+lost");
    fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    let expired = Err((Code::OutOfRange, "CURSOR_EXPIRED".to_owned()));
    // Neither before another change has the number that the lost one had, nor after that.
    assert_eq!(life(&data, 3, &lost, "never").await, expired);
    let (told, _) = life(&data, 4, &before, "other").await.unwrap();
    assert_eq!(told, "+other");
    assert_eq!(life(&data, 5, &lost, "never").await, expired);
    // A database that knows nothing of the cursor's key.
    assert_eq!(life(&fresh, 6, &before, "never").await, expired);
}
