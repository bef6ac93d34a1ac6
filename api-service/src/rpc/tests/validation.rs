//! What is refused, and which field it names.

use evergreen_proto::api::v1 as pb;

use super::harness::{ADMIN, EDITOR, World, field};

const SOME_ID: &str = "018f0000-0000-7000-8000-000000000000";

fn nodes(parents: impl IntoIterator<Item = Option<usize>>) -> Vec<pb::TreeNode> {
    let node = |(i, parent): (usize, Option<usize>)| pb::TreeNode {
        node_id: i.to_string(),
        parent_id: parent.map(|parent| parent.to_string()).unwrap_or_default(),
        kind: pb::NodeKind::Action.into(),
        title: "t".into(),
        ..Default::default()
    };
    parents.into_iter().enumerate().map(node).collect()
}

#[tokio::test]
async fn a_bad_tree_is_refused_by_the_path_of_the_bad_field() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    type Change = Box<dyn Fn(&mut pb::Tree)>;
    let table: Vec<(&str, Change)> = vec![
        ("tree.title", Box::new(|t| t.title.clear())),
        ("tree.title", Box::new(|t| t.title = " ".into())),
        ("tree.title", Box::new(|t| t.title = "x".repeat(201))),
        ("tree.title", Box::new(|t| t.title = "x".repeat(3 << 20))),
        ("tree.title", Box::new(|t| t.title = "a\0b".into())),
        ("tree.title", Box::new(|t| t.title = "a\nb".into())),
        ("tree.description", Box::new(|t| t.description = "x".repeat(10_001))),
        ("tree.description", Box::new(|t| t.description = "\u{7}".into())),
        ("tree.category_id", Box::new(|t| t.category_id = "x".into())),
        ("tree.folder_id", Box::new(|t| t.folder_id = SOME_ID[1..].into())),
        ("tree.status", Box::new(|t| t.status = 4)),
        ("tree.status", Box::new(|t| t.status = -1)),
        ("tree.visibility", Box::new(|t| t.visibility = 3)),
        ("tree.tags", Box::new(|t| t.tags = (0..21).map(|i| i.to_string()).collect())),
        ("tree.tags[1]", Box::new(|t| t.tags = vec!["a".into(), "a".into()])),
        ("tree.tags[0]", Box::new(|t| t.tags = vec!["x".repeat(51)])),
        ("tree.tags[0]", Box::new(|t| t.tags = vec![String::new()])),
        ("tree.nodes[2].parent_id", Box::new(|t| t.nodes = nodes([None, Some(0), None]))),
        ("tree.nodes[2].parent_id", Box::new(|t| t.nodes = nodes([None, Some(0), Some(9)]))),
        ("tree.nodes[1].parent_id", Box::new(|t| t.nodes = nodes([None, Some(2), Some(1)]))),
        ("tree.nodes", Box::new(|t| t.nodes = nodes([Some(1), Some(0)]))),
        ("tree.nodes", Box::new(|t| t.nodes = nodes((0..5_001).map(|i| (i > 0).then_some(0))))),
        ("tree.nodes", Box::new(|t| t.nodes = nodes((0..100_000).map(|i| (i > 0).then_some(0))))),
        ("tree.nodes", Box::new(|t| t.nodes = nodes((0..10_000).map(|i: usize| i.checked_sub(1))))),
        (
            "tree.nodes[100].parent_id",
            Box::new(|t| t.nodes = nodes((0..5_000).map(|i: usize| i.checked_sub(1)))),
        ),
        (
            "tree.nodes[1].kind",
            Box::new(|t| {
                t.nodes = nodes([None, Some(0)]);
                t.nodes[1].kind = 0;
            }),
        ),
        (
            "tree.nodes[0].kind",
            Box::new(|t| {
                t.nodes = nodes([None]);
                t.nodes[0].kind = 9;
            }),
        ),
        (
            "tree.nodes[0].title",
            Box::new(|t| {
                t.nodes = nodes([None]);
                t.nodes[0].title = "x".repeat(501);
            }),
        ),
        (
            "tree.nodes[0].body",
            Box::new(|t| {
                t.nodes = nodes([None]);
                t.nodes[0].body = "x".repeat(20_001);
            }),
        ),
        (
            "tree.nodes[0].node_id",
            Box::new(|t| {
                t.nodes = nodes([None]);
                t.nodes[0].node_id = "x".repeat(65);
            }),
        ),
        (
            "tree.nodes[1].node_id",
            Box::new(|t| {
                t.nodes = nodes([None, Some(0)]);
                t.nodes[1].node_id = "0".into();
            }),
        ),
    ];
    for (i, (expected, change)) in table.iter().enumerate() {
        let mut tree = pb::Tree { title: "t".into(), ..Default::default() };
        change(&mut tree);
        let answer = ada.create_tree(pb::CreateTreeRequest { tree: Some(tree) }).await;
        assert_eq!(field(answer), *expected, "row {i}");
    }
    let trees = ada.list_trees(pb::ListTreesRequest::default()).await.unwrap().trees;
    assert!(trees.is_empty());
}

#[tokio::test]
async fn every_limit_itself_is_allowed() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let tree = ada
        .tree(&"ü".repeat(200), |t| {
            t.description = "🌲".repeat(10_000);
            t.tags = (0..20).map(|i| format!("{i:050}")).collect();
            t.nodes = nodes((0..5_000).map(|i: usize| match i {
                0 => None,
                1..100 => Some(i - 1),
                _ => Some(0),
            }));
            t.nodes[0].title = "x".repeat(500);
            t.nodes[0].body = "ü".repeat(20_000);
        })
        .await;
    let request = pb::GetTreeRequest { tree_id: tree.tree_id.clone() };
    assert_eq!(ada.get_tree(request).await.unwrap().tree, Some(tree));
}

#[tokio::test]
async fn ids_names_and_missing_messages_are_named() {
    let world = World::new().await;
    let root = world.caller("root", ADMIN);
    for bad in ["", "x", "018f00000000700080000000000000000", &"x".repeat(1 << 20)] {
        let id = || bad.to_owned();
        let tree = pb::GetTreeRequest { tree_id: id() };
        assert_eq!(field(root.get_tree(tree).await), "tree_id");
        let folder = pb::GetFolderRequest { folder_id: id() };
        assert_eq!(field(root.get_folder(folder).await), "folder_id");
        let category = pb::GetCategoryRequest { category_id: id() };
        assert_eq!(field(root.get_category(category).await), "category_id");
        let tree = pb::DeleteTreeRequest { tree_id: id(), ..Default::default() };
        assert_eq!(field(root.delete_tree(tree).await), "tree_id");
        let tree = Some(pb::Tree { tree_id: id(), title: "t".into(), ..Default::default() });
        let update = pb::UpdateTreeRequest { tree, update_mask: None };
        assert_eq!(field(root.update_tree(update).await), "tree.tree_id");
        let moved = pb::MoveFolderRequest { folder_id: id(), ..Default::default() };
        assert_eq!(field(root.move_folder(moved).await), "folder_id");
    }
    let list = pb::ListTreesRequest { category_id: "x".into(), ..Default::default() };
    assert_eq!(field(root.list_trees(list).await), "category_id");
    let list = pb::ListTreesRequest { status: 9, ..Default::default() };
    assert_eq!(field(root.list_trees(list).await), "status");
    let list = pb::ListFoldersRequest { parent_id: "x".into(), ..Default::default() };
    assert_eq!(field(root.list_folders(list).await), "parent_id");
    assert_eq!(field(root.create_tree(pb::CreateTreeRequest::default()).await), "tree");
    assert_eq!(field(root.update_folder(pb::UpdateFolderRequest::default()).await), "folder");
    assert_eq!(field(root.create_category(pb::CreateCategoryRequest::default()).await), "category");
    for name in ["", " ", "a/b", "a\tb", &"x".repeat(101)] {
        let folder = Some(pb::Folder { name: name.into(), ..Default::default() });
        let answer = root.create_folder(pb::CreateFolderRequest { folder }).await;
        assert_eq!(field(answer), "folder.name", "{name:?}");
    }
}
