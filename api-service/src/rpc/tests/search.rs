//! Search.

use evergreen_proto::api::v1 as pb;
use tonic::{Code, Status};

use super::harness::{Caller, EDITOR, VIEWER, World, field, refused};

async fn search(
    caller: &Caller,
    query: &str,
    size: i32,
    token: &str,
) -> Result<pb::SearchTreesResponse, Status> {
    let request =
        pb::SearchTreesRequest { query: query.into(), page_size: size, page_token: token.into() };
    caller.search_trees(request).await
}

fn a_step(title: &str, body: &str) -> pb::TreeNode {
    pb::TreeNode {
        node_id: "a".into(),
        kind: pb::NodeKind::Action.into(),
        title: title.into(),
        body: body.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_result_shows_where_it_matched() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let folder_id = ada.folder("f", "").await.folder_id;
    let tree = ada
        .tree("Réseau lent", |t| {
            t.folder_id = folder_id;
            t.tags = vec!["Wi-Fi".into()];
            t.visibility = pb::TreeVisibility::Shared.into();
            t.nodes = vec![a_step("Redémarrer", "la box, puis le réseau")];
        })
        .await;
    let listed = pb::Tree { nodes: Vec::new(), ..tree };
    for (query, field, snippet) in [
        ("RESEAU", "title", "\u{2068}Réseau\u{2069} lent"),
        ("fi wi", "tags", "\u{2068}Wi\u{2069}-\u{2068}Fi\u{2069}"),
        ("redem", "nodes[0].title", "\u{2068}Redémarrer\u{2069}"),
        ("box reseau", "nodes[0].body", "la \u{2068}box\u{2069}, puis le \u{2068}réseau\u{2069}"),
    ] {
        let answer = search(&ada, query, 0, "").await.unwrap();
        let (field, snippet) = (field.into(), snippet.into());
        let expected = pb::SearchResult { tree: Some(listed.clone()), snippet, field };
        assert_eq!(answer.results, [expected], "{query}");
    }
    // Whose folders are whose is nobody else's business.
    let seen = search(&world.caller("eve", VIEWER), "lent", 0, "").await.unwrap().results;
    assert_eq!(seen[0].tree.as_ref().unwrap().folder_id, "");
    assert_eq!(search(&ada, "la lent b", 0, "").await.unwrap().results.len(), 1);
    assert_eq!(search(&ada, "la box lent printer", 0, "").await.unwrap().results, []);
}

#[tokio::test]
async fn pages_of_results_come_to_an_end() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let mut expected = Vec::new();
    for i in 0..7 {
        let title = if i % 2 == 0 { "vpn" } else { "other" };
        let tree = ada.tree(title, |t| t.description = "vpn".into()).await;
        expected.push((i % 2, tree.tree_id));
    }
    expected.reverse();
    expected.sort_by_key(|(tier, _)| *tier);
    let (mut found, mut token) = (Vec::new(), String::new());
    let mut pages = 0;
    loop {
        let answer = search(&ada, "vpn", 3, &token).await.unwrap();
        found.extend(answer.results.into_iter().map(|hit| hit.tree.unwrap().tree_id));
        pages += 1;
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!((found, pages), (expected, 3));
}

#[tokio::test]
async fn a_page_of_results_is_short() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    for _ in 0..51 {
        ada.tree("vpn", |_| {}).await;
    }
    for (size, count) in [(0, 50), (49, 49), (51, 50), (500, 50), (i32::MAX, 50)] {
        let answer = search(&ada, "vpn", size, "").await.unwrap();
        assert_eq!((answer.results.len(), answer.next_page_token.is_empty()), (count, false));
    }
}

#[tokio::test]
async fn what_is_no_query_is_refused() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    for query in ["", "\"", "🌲", &"x".repeat(501), &"a ".repeat(17)] {
        assert_eq!(field(search(&ada, query, 0, "").await), "query", "{query}");
    }
    assert_eq!(field(search(&ada, "a", -1, "").await), "page_size");
    let nobody = search(&world.caller("ada", &[]), "a", 0, "").await;
    assert_eq!(refused(nobody), (Code::PermissionDenied, "PERMISSION_DENIED".into()));

    for _ in 0..2 {
        ada.tree("vpn", |_| {}).await;
    }
    let token = search(&ada, "vpn", 1, "").await.unwrap().next_page_token;
    // The same words are the same query.
    assert_eq!(search(&ada, "VPN!", 1, &token).await.unwrap().results.len(), 1);
    let invalid = (Code::InvalidArgument, "PAGE_TOKEN_INVALID".to_owned());
    assert_eq!(refused(search(&ada, "vp", 1, &token).await), invalid);
    assert_eq!(refused(search(&ada, "vpn", 1, &token[1..]).await), invalid);
    let other = search(&world.caller("eve", EDITOR), "vpn", 1, &token).await;
    assert_eq!(refused(other), invalid);
}
