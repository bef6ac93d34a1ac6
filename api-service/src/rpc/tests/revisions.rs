//! What trees read at each time.

use evergreen_proto::api::v1 as pb;
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::harness::{Caller, EDITOR, VIEWER, World, field, refused};

async fn retitle(caller: &Caller, tree: &pb::Tree, title: &str) -> pb::Tree {
    let (tree_id, title) = (tree.tree_id.clone(), title.into());
    let tree = pb::Tree { tree_id, title, ..Default::default() };
    let update_mask = Some(FieldMask { paths: vec!["title".into()] });
    let request = pb::UpdateTreeRequest { tree: Some(tree), update_mask };
    caller.update_tree(request).await.unwrap().tree.unwrap()
}

async fn revision(caller: &Caller, id: &str, revision: i64) -> Result<pb::TreeRevision, Status> {
    let request = pb::GetTreeRevisionRequest { tree_id: id.into(), revision };
    caller.get_tree_revision(request).await.map(|answer| answer.revision.unwrap())
}

async fn roll_back(
    caller: &Caller,
    tree: &pb::Tree,
    revision: i64,
    etag: &str,
) -> Result<pb::Tree, Status> {
    let (tree_id, etag) = (tree.tree_id.clone(), etag.into());
    let request = pb::RollbackTreeRequest { tree_id, revision, etag };
    caller.rollback_tree(request).await.map(|answer| answer.tree.unwrap())
}

fn a_node() -> pb::TreeNode {
    let kind = pb::NodeKind::Action.into();
    pb::TreeNode { node_id: "a".into(), kind, title: "Step".into(), ..Default::default() }
}

#[tokio::test]
async fn what_was_overwritten_is_read_and_brought_back() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let first = ada
        .tree("first", |t| {
            t.nodes = vec![a_node()];
            t.tags = vec!["x".into()];
            t.description = "d".into();
        })
        .await;
    assert_eq!((first.revision, first.node_count), (1, 1));
    world.tick();
    let all = pb::Tree {
        tree_id: first.tree_id.clone(),
        title: "second".into(),
        status: pb::TreeStatus::Published.into(),
        visibility: pb::TreeVisibility::Shared.into(),
        ..Default::default()
    };
    let request = pb::UpdateTreeRequest { tree: Some(all), update_mask: None };
    let second = ada.update_tree(request).await.unwrap().tree.unwrap();
    assert_eq!((second.revision, second.node_count), (2, 0));
    // Whoever may read the tree may read what it once read.
    let eve = world.caller("eve", VIEWER);
    let expected = pb::TreeRevision {
        revision: 1,
        title: "first".into(),
        description: "d".into(),
        tags: vec!["x".into()],
        nodes: vec![a_node()],
        node_count: 1,
        create_time: first.create_time,
    };
    assert_eq!(revision(&eve, &first.tree_id, 1).await.unwrap(), expected);

    let stale = (Code::Aborted, "ETAG_MISMATCH".to_owned());
    assert_eq!(refused(roll_back(&ada, &first, 1, &first.etag).await), stale);
    world.tick();
    let third = roll_back(&ada, &first, 1, &second.etag).await.unwrap();
    let expected = pb::Tree {
        status: second.status,
        visibility: second.visibility,
        revision: 3,
        etag: third.etag.clone(),
        update_time: third.update_time,
        ..first.clone()
    };
    assert_eq!(third, expected);
    // Also to how it reads already.
    assert_eq!(roll_back(&ada, &first, 3, "").await.unwrap().revision, 4);

    let missing = (Code::NotFound, "TREE_REVISION_NOT_FOUND".to_owned());
    assert_eq!(refused(revision(&ada, &first.tree_id, 5).await), missing);
    assert_eq!(refused(roll_back(&ada, &first, 5, "").await), missing);
    let denied = (Code::PermissionDenied, "PERMISSION_DENIED".to_owned());
    let bob = world.caller("bob", EDITOR);
    for number in [1, 5] {
        assert_eq!(refused(roll_back(&bob, &first, number, "").await), denied);
    }
    for bad in [0, -1, i64::MIN] {
        assert_eq!(field(revision(&ada, &first.tree_id, bad).await), "revision");
        assert_eq!(field(roll_back(&ada, &first, bad, "").await), "revision");
    }
    assert_eq!(field(revision(&ada, "x", 1).await), "tree_id");
}

#[tokio::test]
async fn revisions_are_listed_in_pages_while_others_are_written() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let tree = ada.tree("1", |t| t.nodes = vec![a_node()]).await;
    for i in 2..=11 {
        retitle(&ada, &tree, &i.to_string()).await;
    }
    // The same title, or another folder, is nothing new.
    retitle(&ada, &tree, "11").await;
    let page = async |page_size: i32, page_token: &str| {
        let (tree_id, page_token) = (tree.tree_id.clone(), page_token.to_owned());
        ada.list_tree_revisions(pb::ListTreeRevisionsRequest { tree_id, page_size, page_token })
            .await
    };
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let answer = page(4, &token).await.unwrap();
        assert!(answer.revisions.iter().all(|r| r.nodes.is_empty() && r.node_count == 1));
        found.extend(answer.revisions.into_iter().map(|r| (r.revision, r.title)));
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
        retitle(&ada, &tree, &format!("late {}", found.len())).await;
    }
    let expected: Vec<_> = (1..=11).rev().map(|i| (i, i.to_string())).collect();
    assert_eq!(found, expected);
    assert_eq!(field(page(-1, "").await), "page_size");
    let other = ada.tree("other", |_| {}).await;
    let token = page(1, "").await.unwrap().next_page_token;
    let request = pb::ListTreeRevisionsRequest {
        tree_id: other.tree_id,
        page_token: token,
        ..Default::default()
    };
    let invalid = (Code::InvalidArgument, "PAGE_TOKEN_INVALID".to_owned());
    assert_eq!(refused(ada.list_tree_revisions(request).await), invalid);
}
