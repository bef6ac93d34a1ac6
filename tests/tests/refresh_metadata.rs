//! What travels in the metadata of a refresh, and what must not.

use evergreen_proto::{
    api::v1::ListTreesRequest,
    auth::v1::{GetCurrentUserRequest, LoginRequest, RefreshRequest},
};
use tests::{PASSWORD, World, bearing, reason, with_metadata};
use tonic::Request;

#[tokio::test]
async fn a_refresh_without_its_token_in_the_metadata_is_told_so() {
    let world = World::start().await;
    let refused = world.auth_client().refresh(RefreshRequest {}).await;
    assert_eq!(reason(refused), "REFRESH_TOKEN_MISSING");
}

#[tokio::test]
async fn each_kind_of_token_is_refused_where_the_other_belongs() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let refresh = bearing(&tokens.access_token, RefreshRequest {});
    assert_eq!(reason(world.auth_client().refresh(refresh).await), "REFRESH_TOKEN_INVALID");
    let whoami = bearing(&tokens.refresh_token, GetCurrentUserRequest {});
    assert_eq!(reason(world.auth_client().get_current_user(whoami).await), "ACCESS_TOKEN_INVALID");
    let list = bearing(&tokens.refresh_token, ListTreesRequest::default());
    assert_eq!(reason(world.api_client().list_trees(list).await), "ACCESS_TOKEN_INVALID");
    // Neither mistake has cost the session anything.
    let list = bearing(&tokens.access_token, ListTreesRequest::default());
    assert!(world.api_client().list_trees(list).await.is_ok());
    let refresh = bearing(&tokens.refresh_token, RefreshRequest {});
    assert!(world.auth_client().refresh(refresh).await.is_ok());
}

#[tokio::test]
async fn doubled_and_malformed_entries_are_refused() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let token = &tokens.refresh_token;
    let doubled = with_metadata(
        bearing(token, RefreshRequest {}),
        "authorization",
        &format!("Bearer {token}"),
    );
    assert_eq!(reason(world.auth_client().refresh(doubled).await), "REFRESH_TOKEN_INVALID");
    for value in ["Bearer", "Basic YTpi", token] {
        let request = with_metadata(Request::new(RefreshRequest {}), "authorization", value);
        let refused = reason(world.auth_client().refresh(request).await);
        assert_eq!(refused, "REFRESH_TOKEN_INVALID", "{value:?}");
    }
    let doubled = with_metadata(
        bearing(&tokens.access_token, ListTreesRequest::default()),
        "authorization",
        &format!("Bearer {}", tokens.access_token),
    );
    assert_eq!(reason(world.api_client().list_trees(doubled).await), "ACCESS_TOKEN_INVALID");
    let list = ListTreesRequest::default();
    assert_eq!(reason(world.api_client().list_trees(list).await), "ACCESS_TOKEN_MISSING");
}

#[tokio::test]
async fn odd_idempotency_keys_and_flags_are_named_and_spend_nothing() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let request = || bearing(&tokens.refresh_token, RefreshRequest {});
    for key in ["", "too-short", &"x".repeat(65), "sixteen chars but spaces"] {
        let keyed = with_metadata(request(), "idempotency-key", key);
        let refused = world.auth_client().refresh(keyed).await;
        assert_eq!(reason(refused), "IDEMPOTENCY_KEY_INVALID", "{key:?}");
    }
    let twice = with_metadata(request(), "idempotency-key", "0123456789abcdef");
    let twice = with_metadata(twice, "idempotency-key", "fedcba9876543210");
    assert_eq!(reason(world.auth_client().refresh(twice).await), "IDEMPOTENCY_KEY_INVALID");
    let flagged = with_metadata(request(), "after-superseded", "yes");
    assert_eq!(reason(world.auth_client().refresh(flagged).await), "AFTER_SUPERSEDED_INVALID");

    let keyed = with_metadata(request(), "idempotency-key", "0123456789abcdef");
    assert!(world.auth_client().refresh(keyed).await.is_ok(), "the token was not spent before");
}

#[tokio::test]
async fn a_bad_field_is_named_with_its_mend() {
    let world = World::start().await;
    let refused = async |username: &str, password: &str, device_name: &str| {
        let request = LoginRequest {
            username: username.into(),
            password: password.into(),
            device_name: device_name.into(),
        };
        world.auth_client().login(request).await.unwrap_err()
    };
    let long = "x".repeat(10 << 20);
    for (status, field) in [
        (refused("ada", "", "").await, "password: must not be empty"),
        (refused("ada", &"x".repeat(2000), "").await, "password: must be at most 256"),
        (refused("ada", PASSWORD, &"d".repeat(129)).await, "device_name: must be at most 128"),
        (refused("ada", PASSWORD, "a\u{7}b").await, "device_name: must not hold control"),
        (refused("ada", &long, "").await, "request: is too large"),
    ] {
        assert!(status.message().starts_with(field), "{status:?}");
        assert_eq!(reason::<()>(Err(status)), "FIELD_INVALID");
    }
}
