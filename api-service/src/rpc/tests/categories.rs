//! Categories.

use evergreen_proto::api::v1 as pb;
use tonic::Code;

use super::harness::{ADMIN, EDITOR, World, field, refused};

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
    let request = pb::DeleteTreeRequest { tree_id: tree.tree_id, etag: String::new() };
    ada.delete_tree(request).await.unwrap();
    delete().await.unwrap();
    assert_eq!(refused(delete().await), (Code::NotFound, "CATEGORY_NOT_FOUND".into()));
}
