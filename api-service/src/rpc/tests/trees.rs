//! Trees.

use evergreen_proto::api::v1 as pb;
use prost_types::FieldMask;
use tonic::Code;

use super::harness::{ADMIN, Caller, EDITOR, TestKeys, VIEWER, World, field, refused};

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|&path| path.into()).collect() })
}

fn node(id: &str, parent: &str, kind: pb::NodeKind) -> pb::TreeNode {
    pb::TreeNode {
        node_id: id.into(),
        parent_id: parent.into(),
        kind: kind.into(),
        title: "Step".into(),
        body: "Do it".into(),
        position: 3,
    }
}

async fn get(caller: &Caller, id: &str) -> pb::Tree {
    let request = pb::GetTreeRequest { tree_id: id.into() };
    caller.get_tree(request).await.unwrap().tree.unwrap()
}

#[tokio::test]
async fn what_is_created_is_what_is_read() {
    let world = World::new().await;
    let category = world.caller("root", ADMIN).category("Net").await;
    let ada = world.caller("ada", EDITOR);
    let folder = ada.folder("f", "").await;
    let asked = pb::Tree {
        tree_id: "ignored".into(),
        owner_id: "eve".into(),
        title: "The VPN does not connect".into(),
        description: "first\nsecond".into(),
        category_id: category.category_id,
        folder_id: folder.folder_id,
        status: pb::TreeStatus::Published.into(),
        visibility: pb::TreeVisibility::Shared.into(),
        tags: vec!["vpn".into(), "net".into()],
        nodes: vec![
            node("b", "a", pb::NodeKind::Solution),
            node("a", "", pb::NodeKind::Question),
            node("c", "a", pb::NodeKind::Action),
        ],
        ..Default::default()
    };
    let request = pb::CreateTreeRequest { tree: Some(asked.clone()) };
    let made = ada.create_tree(request).await.unwrap().tree.unwrap();
    let expected = pb::Tree {
        tree_id: made.tree_id.clone(),
        owner_id: "ada".into(),
        revision: 1,
        node_count: 3,
        etag: made.etag.clone(),
        create_time: made.create_time,
        update_time: made.create_time,
        ..asked
    };
    assert_eq!(made, expected);
    assert_eq!(get(&ada, &made.tree_id).await, made);
    assert!(!made.etag.is_empty() && made.create_time.is_some());
    // Whose folders are whose is nobody else's business.
    let seen = get(&world.caller("eve", VIEWER), &made.tree_id).await;
    assert_eq!(seen, pb::Tree { folder_id: String::new(), ..made });
}

#[tokio::test]
async fn a_new_tree_is_a_private_draft() {
    let world = World::new().await;
    let tree = world.caller("ada", EDITOR).tree("t", |_| {}).await;
    assert_eq!(tree.visibility(), pb::TreeVisibility::Private);
    assert_eq!(tree.status(), pb::TreeStatus::Draft);
}

#[tokio::test]
async fn a_mask_names_what_changes() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let before = ada
        .tree("before", |t| {
            t.description = "kept".into();
            t.nodes = vec![node("a", "", pb::NodeKind::Question)];
        })
        .await;
    world.tick();
    let change = pb::Tree {
        tree_id: before.tree_id.clone(),
        title: "after".into(),
        // Not named, so not even looked at.
        description: "\0".into(),
        tags: vec!["x".into()],
        ..Default::default()
    };
    let update = async |paths: &[&str]| {
        let tree = Some(change.clone());
        ada.update_tree(pb::UpdateTreeRequest { tree, update_mask: mask(paths) }).await
    };
    let after = update(&["title", "tags"]).await.unwrap().tree.unwrap();
    assert_ne!((&after.etag, after.update_time), (&before.etag, before.update_time));
    let expected = pb::Tree {
        title: "after".into(),
        tags: vec!["x".into()],
        etag: after.etag.clone(),
        update_time: after.update_time,
        revision: 2,
        ..before
    };
    assert_eq!(after, expected);
    for path in ["nope", "tree_id", "etag", "owner_id", "create_time", "tree.title", "*", ""] {
        assert_eq!(field(update(&["title", path]).await), "update_mask", "{path}");
    }
    // With an empty mask everything is written, here a description that may not be.
    assert_eq!(field(update(&[]).await), "tree.description");
    assert_eq!(get(&ada, &after.tree_id).await, after);
}

#[tokio::test]
async fn an_etag_guards_a_write_and_without_one_it_overwrites() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let first = ada.tree("first", |_| {}).await;
    let update = async |title: &str, etag: &str| {
        let tree = pb::Tree {
            tree_id: first.tree_id.clone(),
            title: title.into(),
            etag: etag.into(),
            ..Default::default()
        };
        ada.update_tree(pb::UpdateTreeRequest { tree: Some(tree), update_mask: None }).await
    };
    let delete = async |etag: &str| {
        let (tree_id, etag) = (first.tree_id.clone(), etag.into());
        ada.delete_tree(pb::DeleteTreeRequest { tree_id, etag }).await
    };
    let second = update("second", &first.etag).await.unwrap().tree.unwrap();
    let stale = (Code::Aborted, "ETAG_MISMATCH".to_owned());
    for etag in [first.etag.as_str(), "0", "\u{1f332}", &"x".repeat(100_000)] {
        assert_eq!(refused(update("third", etag).await), stale);
        assert_eq!(refused(delete(etag).await), stale);
    }
    assert_eq!(get(&ada, &first.tree_id).await, second);
    let third = update("third", "").await.unwrap().tree.unwrap();
    assert_eq!(third.title, "third");
    delete(&third.etag).await.unwrap();
    assert_eq!(refused(delete("").await), (Code::FailedPrecondition, "TREE_DELETED".into()));
}

#[tokio::test]
async fn of_eight_writers_with_the_same_etag_one_succeeds_and_without_one_all_do() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let tree = ada.tree("t", |_| {}).await;
    let race = async |etag: &str| {
        let mut writers = tokio::task::JoinSet::new();
        for i in 0..8 {
            let (ada, etag, tree_id) = (ada.clone(), etag.to_owned(), tree.tree_id.clone());
            writers.spawn(async move {
                let tree = pb::Tree { tree_id, title: i.to_string(), etag, ..Default::default() };
                let update_mask = mask(&["title"]);
                ada.update_tree(pb::UpdateTreeRequest { tree: Some(tree), update_mask }).await
            });
        }
        writers.join_all().await.into_iter().filter(Result::is_ok).count()
    };
    assert_eq!(race(&tree.etag).await, 1);
    assert_eq!(race("").await, 8);
}

#[tokio::test]
async fn references_must_exist_and_be_ones_own() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let foreign = world.caller("eve", EDITOR).folder("f", "").await.folder_id;
    let missing = "018f0000-0000-7000-8000-000000000000".to_owned();
    let create = async |folder_id: String, category_id: String| {
        let tree = pb::Tree { title: "t".into(), folder_id, category_id, ..Default::default() };
        refused(ada.create_tree(pb::CreateTreeRequest { tree: Some(tree) }).await)
    };
    for folder in [foreign, missing.clone()] {
        let answer = create(folder, String::new()).await;
        assert_eq!(answer, (Code::NotFound, "FOLDER_NOT_FOUND".into()));
    }
    let answer = create(String::new(), missing).await;
    assert_eq!(answer, (Code::NotFound, "CATEGORY_NOT_FOUND".into()));
}

#[tokio::test]
async fn the_demo_is_seeded_once() {
    let world = World::with(TestKeys::Up, async |server| {
        for _ in 0..3 {
            server.seed_demo("ada").await.unwrap();
        }
        server.seed_demo("bob").await.unwrap();
    })
    .await;
    let count = async |user: &str| {
        let caller = world.caller(user, VIEWER);
        let trees = caller.list_trees(pb::ListTreesRequest::default()).await.unwrap().trees;
        let own = trees.iter().filter(|tree| tree.owner_id == user).count();
        let folders = caller.list_folders(pb::ListFoldersRequest::default()).await.unwrap().folders;
        let shelf = caller.list_categories(pb::ListCategoriesRequest::default()).await.unwrap();
        for tree in trees.iter().filter(|tree| tree.owner_id == user) {
            assert!(!tree.folder_id.is_empty() && !tree.category_id.is_empty());
            assert!(get(&caller, &tree.tree_id).await.nodes.len() >= 4);
        }
        (own, trees.len() - own, folders.len(), shelf.categories.len())
    };
    // Five trees of one's own, three shared by the other; two folders at the top, and the shelf.
    assert_eq!(count("ada").await, (5, 3, 2, 3));
    assert_eq!(count("bob").await, (5, 3, 2, 3));
    assert_eq!(count("eve").await, (0, 6, 0, 3));
}
