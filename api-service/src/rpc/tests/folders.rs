//! Folders.

use evergreen_proto::api::v1 as pb;
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::harness::{Caller, EDITOR, World, refused};

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
