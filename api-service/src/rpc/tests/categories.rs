//! Categories.

use evergreen_proto::api::v1 as pb;
use prost_types::FieldMask;
use tonic::Code;

use super::harness::{ADMIN, EDITOR, World, field, refused};
use crate::MemoryDatabase;

#[tokio::test]
async fn a_slug_is_made_from_the_name_and_is_unique() {
    let world = World::new().await;
    let root = world.caller("root", ADMIN);
    assert_eq!(root.category("Wi-Fi & VPN").await.slug, "wi-fi-vpn");
    let create = async |name: &str, slug: &str| {
        let category = pb::Category { name: name.into(), slug: slug.into(), ..Default::default() };
        root.create_category(pb::CreateCategoryRequest { category: Some(category) }).await
    };
    let taken = (Code::AlreadyExists, "CATEGORY_SLUG_TAKEN".to_owned());
    assert_eq!(refused(create("WiFi", "wi-fi-vpn").await), taken);
    assert_eq!(refused(create("Wi-Fi, VPN", "").await), taken);
    assert_eq!(field(create("日本語", "").await), "category.slug");
    assert_eq!(field(create("x", "-x").await), "category.slug");
    assert_eq!(field(create("", "x").await), "category.name");
    let other = create("Other", "").await.unwrap().category.unwrap();
    let renamed = pb::Category { slug: "wi-fi-vpn".into(), ..other };
    let request = pb::UpdateCategoryRequest { category: Some(renamed), update_mask: None };
    assert_eq!(refused(root.update_category(request).await), taken);
}

#[tokio::test]
async fn a_category_with_a_tree_is_not_deleted() {
    let world = World::new().await;
    let root = world.caller("root", ADMIN);
    let category_id = root.category("c").await.category_id;
    let ada = world.caller("ada", EDITOR);
    let tree = ada.tree("t", |t| t.category_id = category_id.clone()).await;
    let delete = async || {
        let (category_id, etag) = (category_id.clone(), String::new());
        root.delete_category(pb::DeleteCategoryRequest {
            category_id,
            etag,
            move_trees_to: String::new(),
        })
        .await
    };
    let answer = refused(delete().await);
    assert_eq!(answer, (Code::FailedPrecondition, "CATEGORY_IN_USE".into()));
    // Deleted, it is still there.
    let (tree_id, etag) = (tree.tree_id.clone(), String::new());
    ada.delete_tree(pb::DeleteTreeRequest { tree_id, etag }).await.unwrap();
    assert_eq!(refused(delete().await), answer);
    let (tree_id, etag) = (tree.tree_id.clone(), String::new());
    ada.undelete_tree(pb::UndeleteTreeRequest { tree_id, etag }).await.unwrap();
    let tree = pb::Tree { tree_id: tree.tree_id, ..Default::default() };
    let update_mask = Some(FieldMask { paths: vec!["category_id".into()] });
    let request = pb::UpdateTreeRequest { tree: Some(tree), update_mask };
    ada.update_tree(request).await.unwrap();
    delete().await.unwrap();
    assert_eq!(refused(delete().await), (Code::NotFound, "CATEGORY_NOT_FOUND".into()));
}

#[tokio::test]
async fn the_trees_of_a_category_move_when_it_goes() {
    let world = World::in_memory(&MemoryDatabase::default(), 1).await;
    let root = world.caller("root", ADMIN);
    let (from, into) = (root.category("from").await, root.category("into").await);
    let ada = world.caller("ada", EDITOR);
    // More than move at once.
    for i in 0..1_001 {
        ada.tree(&i.to_string(), |t| t.category_id = from.category_id.clone()).await;
    }
    let delete = async |etag: &str, target: &str| {
        let (category_id, etag) = (from.category_id.clone(), etag.into());
        let move_trees_to = target.into();
        root.delete_category(pb::DeleteCategoryRequest { category_id, etag, move_trees_to }).await
    };
    for bad in [from.category_id.as_str(), "x"] {
        assert_eq!(field(delete("", bad).await), "move_trees_to");
    }
    let missing = (Code::NotFound, "CATEGORY_NOT_FOUND".to_owned());
    let nowhere = "018f0000-0000-7000-8000-000000000000";
    assert_eq!(refused(delete("", nowhere).await), missing);
    let stale = (Code::Aborted, "ETAG_MISMATCH".to_owned());
    assert_eq!(refused(delete(&into.etag, &into.category_id).await), stale);
    let answer = delete(&from.etag, &into.category_id).await.unwrap();
    assert_eq!(answer.moved_tree_count, 1_001);
    assert_eq!(refused(delete("", &into.category_id).await), missing);
    let (category_id, page_size) = (into.category_id.clone(), 500);
    let request = pb::ListTreesRequest { category_id, page_size, ..Default::default() };
    assert_eq!(ada.list_trees(request).await.unwrap().trees.len(), 500);
}
