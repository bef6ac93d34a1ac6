//! Folders.

use evergreen_proto::api::v1 as pb;
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::harness::{Caller, EDITOR, World, field, refused};
use crate::MemoryDatabase;

async fn put(caller: &Caller, id: &str, parent: &str) -> Result<pb::Folder, Status> {
    let request = pb::MoveFolderRequest {
        folder_id: id.into(),
        parent_id: parent.into(),
        ..Default::default()
    };
    caller.move_folder(request).await.map(|response| response.folder.unwrap())
}

#[tokio::test]
async fn a_move_takes_along_what_is_inside() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let a = ada.folder("a", "").await.folder_id;
    let b = ada.folder("b", &a).await.folder_id;
    let c = ada.folder("c", "").await.folder_id;
    let moved = put(&ada, &a, &c).await.unwrap();
    assert_eq!((moved.parent_id.as_str(), moved.name.as_str()), (c.as_str(), "a"));
    for (parent, names) in [("", &["c"][..]), (&c, &["a"]), (&a, &["b"]), (&b, &[])] {
        let request = pb::ListFoldersRequest { parent_id: parent.into(), ..Default::default() };
        let found = ada.list_folders(request).await.unwrap().folders;
        let found: Vec<_> = found.iter().map(|folder| folder.name.as_str()).collect();
        assert_eq!(found, names);
    }
}

#[tokio::test]
async fn a_move_that_cannot_be_says_why() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let a = ada.folder("a", "").await.folder_id;
    let b = ada.folder("b", &a).await.folder_id;
    let same = ada.folder("b", "").await.folder_id;
    let precondition = |reason: &str| (Code::FailedPrecondition, reason.to_owned());
    for into in [&a, &b] {
        assert_eq!(refused(put(&ada, &a, into).await), precondition("FOLDER_CYCLE"));
        let folder =
            pb::Folder { folder_id: a.clone(), parent_id: into.clone(), ..Default::default() };
        let update_mask = Some(FieldMask { paths: vec!["parent_id".into()] });
        let request = pb::UpdateFolderRequest { folder: Some(folder), update_mask };
        assert_eq!(refused(ada.update_folder(request).await), precondition("FOLDER_CYCLE"));
    }
    let taken = (Code::AlreadyExists, "FOLDER_NAME_TAKEN".to_owned());
    assert_eq!(refused(put(&ada, &same, &a).await), taken);
    let mut deepest = b;
    for _ in 2..16 {
        deepest = ada.folder("x", &deepest).await.folder_id;
    }
    assert_eq!(refused(put(&ada, &same, &deepest).await), precondition("FOLDER_TOO_DEEP"));
    let foreign = world.caller("eve", EDITOR).folder("f", "").await.folder_id;
    let hidden = (Code::NotFound, "FOLDER_NOT_FOUND".to_owned());
    assert_eq!(refused(put(&ada, &same, &foreign).await), hidden);
}

#[tokio::test]
async fn moves_race_without_making_a_ring() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    for round in 0..10 {
        let a = ada.folder(&format!("a{round}"), "").await.folder_id;
        let b = ada.folder(&format!("b{round}"), "").await.folder_id;
        let (x, y) = tokio::join!(put(&ada, &a, &b), put(&ada, &b, &a));
        assert_eq!([&x, &y].iter().filter(|result| result.is_ok()).count(), 1);
        let lost = if x.is_err() { x } else { y };
        assert_eq!(refused(lost), (Code::FailedPrecondition, "FOLDER_CYCLE".into()));
    }
}

#[tokio::test]
async fn a_position_is_kept_unless_one_is_given() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let a = ada.folder("a", "").await;
    let place = async |position: Option<i32>, etag: &str| {
        let request = pb::MoveFolderRequest {
            folder_id: a.folder_id.clone(),
            parent_id: String::new(),
            etag: etag.into(),
            position,
        };
        ada.move_folder(request).await.map(|response| response.folder.unwrap())
    };
    assert_eq!(place(Some(7), &a.etag).await.unwrap().position, 7);
    assert_eq!(place(None, "").await.unwrap().position, 7);
    assert_eq!(refused(place(None, &a.etag).await), (Code::Aborted, "ETAG_MISMATCH".into()));
}

#[tokio::test]
async fn only_an_empty_folder_is_deleted() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let folder_id = ada.folder("a", "").await.folder_id;
    let tree = ada.tree("t", |t| t.folder_id = folder_id.clone()).await;
    let delete = async || {
        let (folder_id, etag) = (folder_id.clone(), String::new());
        ada.delete_folder(pb::DeleteFolderRequest { folder_id, etag, force: false }).await
    };
    let answer = refused(delete().await);
    assert_eq!(answer, (Code::FailedPrecondition, "FOLDER_NOT_EMPTY".into()));
    let request = pb::DeleteTreeRequest { tree_id: tree.tree_id, etag: tree.etag };
    ada.delete_tree(request).await.unwrap();
    delete().await.unwrap();
    assert_eq!(refused(delete().await), (Code::NotFound, "FOLDER_NOT_FOUND".into()));
}

#[tokio::test]
async fn a_subtree_comes_in_order_with_the_number_of_trees() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let b = ada.folder("b", "").await.folder_id;
    let a = ada.folder("a", "").await.folder_id;
    let inside = ada.folder("inside", &a).await.folder_id;
    for title in ["x", "y"] {
        ada.tree(title, |t| t.folder_id = inside.clone()).await;
    }
    let read = async |folder_id: &str| {
        let request = pb::GetFolderSubtreeRequest { folder_id: folder_id.into() };
        let entries = ada.get_folder_subtree(request).await.unwrap().entries;
        let line =
            |entry: pb::FolderEntry| (entry.folder.unwrap().name, entry.depth, entry.tree_count);
        entries.into_iter().map(line).collect::<Vec<_>>()
    };
    let line = |name: &str, depth, trees| (name.to_owned(), depth, trees);
    assert_eq!(read("").await, [line("a", 0, 0), line("inside", 1, 2), line("b", 0, 0)]);
    assert_eq!(read(&a).await, [line("a", 0, 0), line("inside", 1, 2)]);
    assert_eq!(read(&b).await, [line("b", 0, 0)]);
    let request = pb::GetFolderSubtreeRequest { folder_id: "x".into() };
    assert_eq!(field(ada.get_folder_subtree(request).await), "folder_id");
}

#[tokio::test]
async fn force_deletes_a_folder_with_all_that_is_in_it() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let top = ada.folder("a", "").await;
    let below = ada.folder("b", &top.folder_id).await;
    let tree = ada.tree("t", |t| t.folder_id = below.folder_id.clone()).await;
    let delete = async |etag: &str| {
        let (folder_id, etag) = (top.folder_id.clone(), etag.into());
        ada.delete_folder(pb::DeleteFolderRequest { folder_id, etag, force: true }).await
    };
    let stale = (Code::Aborted, "ETAG_MISMATCH".to_owned());
    assert_eq!(refused(delete(&below.etag).await), stale);
    let deleted = delete(&top.etag).await.unwrap();
    assert_eq!((deleted.deleted_folder_count, deleted.deleted_tree_count), (2, 1));
    let listed = ada.list_deleted_trees(pb::ListDeletedTreesRequest::default()).await.unwrap();
    let found = &listed.trees[0];
    assert_eq!((&found.tree_id, found.folder_id.as_str()), (&tree.tree_id, ""));
    assert!(found.etag != tree.etag && found.purge_time.is_some());
    assert_eq!(refused(delete("").await), (Code::NotFound, "FOLDER_NOT_FOUND".into()));
    let (tree_id, etag) = (tree.tree_id, String::new());
    ada.undelete_tree(pb::UndeleteTreeRequest { tree_id, etag }).await.unwrap();
}

#[tokio::test]
async fn a_user_has_five_thousand_folders_at_most() {
    let world = World::in_memory(&MemoryDatabase::default(), 1).await;
    let ada = world.caller("ada", EDITOR);
    let create = async |name: String| {
        let folder = Some(pb::Folder { name, ..Default::default() });
        ada.create_folder(pb::CreateFolderRequest { folder }).await
    };
    for i in 0..5_000 {
        create(i.to_string()).await.unwrap();
    }
    let answer = refused(create("one more".into()).await);
    assert_eq!(answer, (Code::FailedPrecondition, "TOO_MANY_FOLDERS".into()));
    world.caller("eve", EDITOR).folder("f", "").await;
}
