//! Deleted trees.

use std::time::Duration;

use evergreen_proto::api::v1 as pb;
use tonic::{Code, Status};

use super::harness::{Caller, EDITOR, VIEWER, World, field, refused};

async fn delete(caller: &Caller, tree: &pb::Tree, etag: &str) -> Result<pb::Tree, Status> {
    let (tree_id, etag) = (tree.tree_id.clone(), etag.into());
    let answer = caller.delete_tree(pb::DeleteTreeRequest { tree_id, etag }).await;
    answer.map(|answer| answer.tree.unwrap())
}

async fn undelete(caller: &Caller, tree: &pb::Tree, etag: &str) -> Result<pb::Tree, Status> {
    let (tree_id, etag) = (tree.tree_id.clone(), etag.into());
    let answer = caller.undelete_tree(pb::UndeleteTreeRequest { tree_id, etag }).await;
    answer.map(|answer| answer.tree.unwrap())
}

async fn get(caller: &Caller, tree: &pb::Tree) -> Result<pb::Tree, Status> {
    let request = pb::GetTreeRequest { tree_id: tree.tree_id.clone() };
    caller.get_tree(request).await.map(|answer| answer.tree.unwrap())
}

fn shared(tree: &mut pb::Tree) {
    tree.visibility = pb::TreeVisibility::Shared.into();
    let root = pb::TreeNode { node_id: "a".into(), title: "Step".into(), ..Default::default() };
    tree.nodes = vec![pb::TreeNode { kind: pb::NodeKind::Action.into(), ..root }];
}

#[tokio::test]
async fn a_deleted_tree_can_be_brought_back_by_its_owner_alone() {
    let world = World::new().await;
    let (ada, eve) = (world.caller("ada", EDITOR), world.caller("eve", EDITOR));
    let folder = ada.folder("f", "").await.folder_id;
    let tree = ada
        .tree("t", |t| {
            shared(t);
            t.folder_id = folder;
        })
        .await;
    world.tick();
    let deleted = delete(&ada, &tree, &tree.etag).await.unwrap();
    let day = 86_400;
    let (at, purge) = (deleted.delete_time.unwrap(), deleted.purge_time.unwrap());
    assert_eq!(purge.seconds - at.seconds, 30 * day);
    let expected = pb::Tree {
        nodes: Vec::new(),
        folder_id: String::new(),
        etag: deleted.etag.clone(),
        update_time: Some(at),
        delete_time: Some(at),
        purge_time: Some(purge),
        ..tree.clone()
    };
    assert_eq!(deleted, expected);
    assert_ne!(deleted.etag, tree.etag);
    let read = get(&ada, &tree).await.unwrap();
    assert_eq!(read, pb::Tree { nodes: tree.nodes.clone(), ..deleted.clone() });

    let not_found = (Code::NotFound, "TREE_NOT_FOUND".to_owned());
    assert_eq!(refused(get(&eve, &tree).await), not_found);
    assert_eq!(refused(undelete(&eve, &tree, "").await), not_found);
    let listed = ada.list_trees(pb::ListTreesRequest::default()).await.unwrap();
    assert!(listed.trees.is_empty());

    let stale = (Code::Aborted, "ETAG_MISMATCH".to_owned());
    assert_eq!(refused(undelete(&ada, &tree, &tree.etag).await), stale);
    world.tick();
    let back = undelete(&ada, &tree, &deleted.etag).await.unwrap();
    let expected = pb::Tree {
        folder_id: String::new(),
        etag: back.etag.clone(),
        update_time: back.update_time,
        ..tree.clone()
    };
    assert_eq!(back, expected);
    assert_eq!(get(&eve, &tree).await.unwrap(), back);
    let twice = (Code::AlreadyExists, "TREE_NOT_DELETED".to_owned());
    assert_eq!(refused(undelete(&ada, &tree, "").await), twice);
}

#[tokio::test]
async fn a_deleted_tree_is_not_written() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let tree = ada.tree("t", |_| {}).await;
    delete(&ada, &tree, "").await.unwrap();
    let deleted = (Code::FailedPrecondition, "TREE_DELETED".to_owned());
    // With an etag of before, too: reading anew would not help.
    for etag in ["", tree.etag.as_str()] {
        let changed = pb::Tree { etag: etag.into(), ..tree.clone() };
        let request = pb::UpdateTreeRequest { tree: Some(changed), update_mask: None };
        assert_eq!(refused(ada.update_tree(request).await), deleted);
        assert_eq!(refused(delete(&ada, &tree, etag).await), deleted);
        let (tree_id, etag) = (tree.tree_id.clone(), etag.into());
        let request = pb::RollbackTreeRequest { tree_id, revision: 1, etag };
        assert_eq!(refused(ada.rollback_tree(request).await), deleted);
    }
}

#[tokio::test]
async fn from_its_purge_on_a_tree_is_gone() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let tree = ada.tree("t", |_| {}).await;
    delete(&ada, &tree, "").await.unwrap();
    world.clock.advance(Duration::from_secs(30 * 86_400) - Duration::from_millis(1));
    let ada = world.caller("ada", EDITOR);
    let list = async || ada.list_deleted_trees(pb::ListDeletedTreesRequest::default()).await;
    assert!(get(&ada, &tree).await.is_ok());
    assert_eq!(list().await.unwrap().trees.len(), 1);
    world.tick();
    let gone = (Code::NotFound, "TREE_NOT_FOUND".to_owned());
    assert_eq!(refused(get(&ada, &tree).await), gone);
    assert_eq!(refused(undelete(&ada, &tree, "").await), gone);
    assert_eq!(refused(delete(&ada, &tree, "").await), gone);
    let tree_id = tree.tree_id.clone();
    let request = pb::ListTreeRevisionsRequest { tree_id, ..Default::default() };
    assert_eq!(refused(ada.list_tree_revisions(request).await), gone);
    assert!(list().await.unwrap().trees.is_empty());
}

#[tokio::test]
async fn deleted_trees_are_listed_in_pages_while_others_are_deleted() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let mut expected = Vec::new();
    for i in 0..11 {
        let tree = ada.tree(&i.to_string(), shared).await;
        world.tick();
        expected.insert(0, delete(&ada, &tree, "").await.unwrap());
    }
    let eve = world.caller("eve", EDITOR);
    let theirs = eve.tree("theirs", |_| {}).await;
    delete(&eve, &theirs, "").await.unwrap();
    let viewer = world.caller("ada", VIEWER);
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListDeletedTreesRequest { page_size: 4, page_token };
        let page = viewer.list_deleted_trees(request).await.unwrap();
        found.extend(page.trees);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        let request = pb::ListTreesRequest { page_token: page_token.clone(), ..Default::default() };
        let answer = refused(viewer.list_trees(request).await);
        assert_eq!(answer, (Code::InvalidArgument, "PAGE_TOKEN_INVALID".into()));
        world.tick();
        let late = ada.tree("late", |_| {}).await;
        delete(&ada, &late, "").await.unwrap();
    }
    assert_eq!(found, expected);
    let request = pb::ListDeletedTreesRequest { page_size: -1, ..Default::default() };
    assert_eq!(field(viewer.list_deleted_trees(request).await), "page_size");
}
