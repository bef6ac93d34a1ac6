//! Who is let in, and to what.

use evergreen_proto::api::v1 as pb;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::harness::{ADMIN, EDITOR, TestKeys, VIEWER, World, refused, said};
use crate::rpc::methods::promised;

#[tokio::test]
async fn without_a_good_token_no_rpc_is_served() {
    let world = World::new().await;
    let old = world.token("ada", ADMIN);
    world.clock.advance(std::time::Duration::from_secs(902));
    for rpc in &promised() {
        for (caller, reason) in [
            (world.nobody(), "ACCESS_TOKEN_MISSING"),
            (world.bearing("a.b.c"), "ACCESS_TOKEN_INVALID"),
            (world.bearing(&old), "ACCESS_TOKEN_EXPIRED"),
        ] {
            let answer = said(&caller.empty(rpc).await);
            assert_eq!(answer, (Code::Unauthenticated, reason.into()), "{rpc}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_method_that_is_not_in_the_contract_is_denied() {
    let world = World::new().await;
    let answer = said(&world.caller("ada", ADMIN).empty("DropEverything").await);
    assert_eq!(answer, (Code::PermissionDenied, "PERMISSION_DENIED".into()));
}

#[tokio::test]
async fn without_keys_nobody_is_rejected() {
    let world = World::with(TestKeys::Down, async |_| {}).await;
    let status = world.caller("ada", EDITOR).empty("ListTrees").await;
    assert_eq!(said(&status), (Code::Unavailable, "KEYS_UNAVAILABLE".into()));
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

/// What each role gets from a well-formed call of each writing RPC, on what is its own, another's
/// but shared, another's alone, and on nothing.
#[tokio::test]
async fn roles_and_relations() {
    let world = World::new().await;
    let eve = world.caller("eve", EDITOR);
    let shared = eve.tree("shared", |t| t.visibility = pb::TreeVisibility::Shared.into()).await;
    let private = eve.tree("private", |_| {}).await;
    let foreign = eve.folder("f", "").await;
    let missing = "018f0000-0000-7000-8000-000000000000";
    let category = world.caller("root", ADMIN).category("Shelf").await;
    let denied = (Code::PermissionDenied, "PERMISSION_DENIED".to_owned());
    let no_tree = (Code::NotFound, "TREE_NOT_FOUND".to_owned());
    let no_folder = (Code::NotFound, "FOLDER_NOT_FOUND".to_owned());

    let own = world.caller("ada", EDITOR).tree("own", |_| {}).await;
    for (roles, writes, reads) in [
        (&[][..], false, false),
        (&["guest"], false, false),
        (VIEWER, false, true),
        (EDITOR, true, true),
        (ADMIN, true, true),
        (&["viewer", "editor"], true, true),
    ] {
        let ada = world.caller("ada", roles);
        let update = async |id: &str| {
            let tree = pb::Tree { tree_id: id.into(), title: "new".into(), ..Default::default() };
            let request = pb::UpdateTreeRequest { tree: Some(tree), update_mask: None };
            ada.update_tree(request).await
        };
        let get = async |id: &str| ada.get_tree(pb::GetTreeRequest { tree_id: id.into() }).await;
        let delete = async |id: &str| {
            ada.delete_tree(pb::DeleteTreeRequest { tree_id: id.into(), etag: String::new() }).await
        };
        assert_eq!(update(&own.tree_id).await.is_ok(), writes, "{roles:?}");
        assert_eq!(get(&own.tree_id).await.is_ok(), reads, "{roles:?}");
        assert_eq!(get(&shared.tree_id).await.is_ok(), reads, "{roles:?}");
        assert_eq!(refused(update(&shared.tree_id).await), denied, "{roles:?}");
        assert_eq!(refused(delete(&shared.tree_id).await), denied, "{roles:?}");
        for id in [private.tree_id.as_str(), missing] {
            let expected = |allowed| if allowed { no_tree.clone() } else { denied.clone() };
            assert_eq!(refused(get(id).await), expected(reads), "{roles:?}");
            assert_eq!(refused(update(id).await), expected(writes), "{roles:?}");
            assert_eq!(refused(delete(id).await), expected(writes), "{roles:?}");
        }
        for id in [foreign.folder_id.as_str(), missing] {
            let got = ada.get_folder(pb::GetFolderRequest { folder_id: id.into() }).await;
            let expected = if reads { no_folder.clone() } else { denied.clone() };
            assert_eq!(refused(got), expected, "{roles:?}");
            let request = pb::MoveFolderRequest { folder_id: id.into(), ..Default::default() };
            let expected = if writes { no_folder.clone() } else { denied.clone() };
            assert_eq!(refused(ada.move_folder(request).await), expected, "{roles:?}");
        }
        let request = pb::GetCategoryRequest { category_id: category.category_id.clone() };
        assert_eq!(ada.get_category(request).await.is_ok(), reads, "{roles:?}");
        let renamed = pb::Category { name: "Renamed".into(), slug: "s".into(), ..category.clone() };
        let renamed = pb::Category { etag: String::new(), ..renamed };
        let request = pb::UpdateCategoryRequest { category: Some(renamed), update_mask: None };
        let updated = ada.update_category(request).await;
        assert_eq!(updated.is_ok(), roles == ADMIN, "{roles:?}");
    }
}

#[tokio::test]
async fn a_hidden_tree_and_a_missing_one_are_one_answer() {
    let world = World::new().await;
    let hidden = world.caller("eve", EDITOR).tree("private", |_| {}).await.tree_id;
    let ada = world.caller("ada", EDITOR);
    let missing = "018f0000-0000-7000-8000-000000000000".to_owned();
    let mut answers = Vec::new();
    for tree_id in [hidden, missing] {
        let status = ada.get_tree(pb::GetTreeRequest { tree_id }).await.unwrap_err();
        let names = |status: &tonic::Status| -> Vec<String> {
            status.metadata().keys().map(|key| format!("{key:?}")).collect()
        };
        let said = (status.code(), status.message().to_owned(), status.details().to_vec());
        answers.push((said, names(&status)));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn health_is_open_to_everybody_and_the_server_drains() {
    let world = World::new().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(world.channel.clone());
    let request =
        tonic_health::pb::HealthCheckRequest { service: "evergreen.api.v1.ApiService".into() };
    let status = health.check(request).await.unwrap().into_inner().status();
    assert_eq!(status, tonic_health::pb::health_check_response::ServingStatus::Serving);
    drop(health);
    world.stop().await;
}
