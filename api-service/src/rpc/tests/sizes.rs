//! How much one message holds.

use evergreen_proto::api::v1 as pb;

use super::harness::{EDITOR, World, field};

/// Of 20,000 bytes each.
fn steps(count: usize) -> Vec<pb::TreeNode> {
    let node = |i: usize| pb::TreeNode {
        node_id: i.to_string(),
        parent_id: if i == 0 { String::new() } else { "0".into() },
        kind: pb::NodeKind::Action.into(),
        title: "t".into(),
        body: "x".repeat(20_000),
        ..Default::default()
    };
    (0..count).map(node).collect()
}

/// 419 steps are 8,380,000 bytes of bodies, and with 420 they are more than 8,388,608.
const FITS: usize = 419;

#[tokio::test]
async fn a_tree_is_never_larger_than_what_can_be_sent() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let large = |count: usize, description: usize| pb::Tree {
        title: "t".into(),
        description: "x".repeat(description),
        nodes: steps(count),
        ..Default::default()
    };
    let create = async |tree| ada.create_tree(pb::CreateTreeRequest { tree: Some(tree) }).await;
    assert_eq!(field(create(large(FITS + 1, 0)).await), "tree.nodes");
    assert_eq!(field(create(large(FITS, 10_000)).await), "tree.nodes");
    let tree = create(large(FITS, 0)).await.unwrap().tree.unwrap();
    assert_eq!(tree.nodes.len(), FITS);
    // What counts is what the tree would be, not what the request holds.
    let update = async |description: usize| {
        let description = "x".repeat(description);
        let tree = pb::Tree { tree_id: tree.tree_id.clone(), description, ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["description".into()] });
        ada.update_tree(pb::UpdateTreeRequest { tree: Some(tree), update_mask }).await
    };
    assert_eq!(field(update(10_000).await), "tree.nodes");
    update(100).await.unwrap();
    let trees = vec![large(1, 0), large(FITS, 10_000)];
    assert_eq!(field(ada.import(None, tokio_stream::iter(trees)).await), "trees[1].nodes");
}

#[tokio::test]
async fn a_page_ends_early_when_its_trees_say_much() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let mut expected = Vec::new();
    for _ in 0..60 {
        expected.insert(0, ada.tree("t", |t| t.description = "🌲".repeat(10_000)).await.tree_id);
        world.tick();
    }
    let (mut found, mut pages, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request =
            pb::ListTreesRequest { page_size: 500, page_token: token, ..Default::default() };
        let answer = ada.list_trees(request).await.unwrap();
        pages.push(answer.trees.len());
        found.extend(answer.trees.into_iter().map(|tree| tree.tree_id));
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    // Of 40,001 bytes each, in two mebibytes.
    assert_eq!(pages, [52, 8]);
    assert_eq!(found, expected);
}
