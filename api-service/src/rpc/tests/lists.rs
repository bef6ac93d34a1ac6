//! Lists and their pages.

use evergreen_proto::api::v1 as pb;
use tonic::Code;

use super::harness::{ADMIN, Caller, EDITOR, World, field, refused};

async fn page(caller: &Caller, size: i32, token: &str) -> pb::ListTreesResponse {
    let request =
        pb::ListTreesRequest { page_size: size, page_token: token.into(), ..Default::default() };
    caller.list_trees(request).await.unwrap()
}

#[tokio::test]
async fn pages_hold_each_tree_once_while_others_are_inserted() {
    let world = World::new().await;
    let (ada, bob) = (world.caller("ada", EDITOR), world.caller("bob", EDITOR));
    let mut expected = Vec::new();
    for i in 0..23 {
        let caller = if i % 2 == 0 { &ada } else { &bob };
        let tree =
            caller.tree(&i.to_string(), |t| t.visibility = pb::TreeVisibility::Shared.into()).await;
        expected.insert(0, tree.tree_id);
        world.tick();
    }
    let (mut found, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let answer = page(&ada, 5, &token).await;
        assert!(answer.trees.iter().all(|tree| tree.nodes.is_empty()));
        found.extend(answer.trees.into_iter().map(|tree| tree.tree_id));
        pages += 1;
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
        world.tick();
        bob.tree("late", |t| t.visibility = pb::TreeVisibility::Shared.into()).await;
    }
    assert_eq!((found, pages), (expected, 5));
}

#[tokio::test]
async fn a_full_last_page_has_no_next() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    for i in 0..4 {
        ada.tree(&i.to_string(), |_| {}).await;
    }
    let first = page(&ada, 2, "").await;
    let last = page(&ada, 2, &first.next_page_token).await;
    assert_eq!((last.trees.len(), last.next_page_token.as_str()), (2, ""));
}

#[tokio::test]
async fn page_sizes_are_clamped_and_negative_ones_refused() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    for i in 0..502 {
        ada.folder(&i.to_string(), "").await;
    }
    for (size, count) in [(0, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)] {
        let request = pb::ListFoldersRequest { page_size: size, ..Default::default() };
        assert_eq!(ada.list_folders(request).await.unwrap().folders.len(), count, "{size}");
    }
    for size in [-1, i32::MIN] {
        let trees = pb::ListTreesRequest { page_size: size, ..Default::default() };
        assert_eq!(field(ada.list_trees(trees).await), "page_size");
        let folders = pb::ListFoldersRequest { page_size: size, ..Default::default() };
        assert_eq!(field(ada.list_folders(folders).await), "page_size");
        let categories = pb::ListCategoriesRequest { page_size: size, ..Default::default() };
        assert_eq!(field(ada.list_categories(categories).await), "page_size");
    }
}

#[tokio::test]
async fn a_page_token_is_good_for_its_caller_and_filters_alone() {
    let world = World::new().await;
    let (ada, root) = (world.caller("ada", EDITOR), world.caller("root", ADMIN));
    for name in ["a", "b"] {
        ada.tree(name, |_| {}).await;
        ada.folder(name, "").await;
        root.category(name).await;
    }
    let parent = ada.folder("c", "").await.folder_id;
    let trees = page(&ada, 1, "").await.next_page_token;
    let request = pb::ListFoldersRequest { page_size: 1, ..Default::default() };
    let folders = ada.list_folders(request).await.unwrap().next_page_token;
    let request = pb::ListCategoriesRequest { page_size: 1, ..Default::default() };
    let categories = ada.list_categories(request).await.unwrap().next_page_token;
    assert!([&trees, &folders, &categories].iter().all(|token| !token.is_empty()));

    let invalid = (Code::InvalidArgument, "PAGE_TOKEN_INVALID".to_owned());
    let list =
        |token: &str| pb::ListTreesRequest { page_token: token.into(), ..Default::default() };
    let mut flipped = trees.clone().into_bytes();
    flipped[3] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    let long = "A".repeat(1 << 20);
    for token in
        ["x", "!", &trees[1..], &flipped, &folders, &categories, &long, &(trees.clone() + "A")]
    {
        assert_eq!(refused(ada.list_trees(list(token)).await), invalid, "{token:.40}");
    }
    let other = world.caller("eve", EDITOR).list_trees(list(&trees)).await;
    assert_eq!(refused(other), invalid);
    let narrowed = pb::ListTreesRequest { status: pb::TreeStatus::Draft.into(), ..list(&trees) };
    assert_eq!(refused(ada.list_trees(narrowed).await), invalid);
    let elsewhere = pb::ListFoldersRequest {
        parent_id: parent,
        page_token: folders.clone(),
        ..Default::default()
    };
    assert_eq!(refused(ada.list_folders(elsewhere).await), invalid);
    let request = pb::ListCategoriesRequest { page_token: folders, ..Default::default() };
    assert_eq!(refused(ada.list_categories(request).await), invalid);
    // The page's size is not part of what a token is bound to.
    let request = pb::ListTreesRequest { page_size: 9, ..list(&trees) };
    assert_eq!(ada.list_trees(request).await.unwrap().trees.len(), 1);
}

#[tokio::test]
async fn mine_lists_the_callers_own_alone_page_by_page() {
    let world = World::new().await;
    let (ada, bob) = (world.caller("ada", EDITOR), world.caller("bob", EDITOR));
    let shared = |tree: &mut pb::Tree| tree.visibility = pb::TreeVisibility::Shared.into();
    let mut expected = Vec::new();
    for i in 0..7 {
        expected.insert(0, ada.tree(&i.to_string(), shared).await.tree_id);
        bob.tree("theirs", shared).await;
        world.tick();
    }
    let page = async |mine: bool, page_token: String| {
        ada.list_trees(pb::ListTreesRequest {
            mine,
            page_size: 3,
            page_token,
            ..Default::default()
        })
        .await
    };
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let answer = page(true, token).await.unwrap();
        found.extend(answer.trees.into_iter().map(|tree| tree.tree_id));
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
        let invalid = (Code::InvalidArgument, "PAGE_TOKEN_INVALID".to_owned());
        assert_eq!(refused(page(false, token.clone()).await), invalid);
    }
    assert_eq!(found, expected);
}
