//! A start that cannot be: the message names the setting and how to mend it, and what runs goes on.

use std::{path::PathBuf, sync::Arc};

use cli::lab::start_auth;
use evergreen_proto::auth::v1::{GetJwksRequest, ListSessionsRequest, RevokeSessionRequest};
use tests::{World, bearing, reason};
use transport::observe::LogObserver;

async fn refused(world: &World, change: impl FnOnce(&mut auth_service::Config)) -> String {
    let mut config = auth_service::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: world.data_dir().join("another"),
        ..auth_service::Config::default()
    };
    change(&mut config);
    let started = start_auth(config, world.clock.clone(), Arc::new(LogObserver), false).await;
    started.expect_err("this start cannot be").to_string()
}

#[tokio::test]
async fn a_start_that_cannot_be_names_the_setting_and_the_mend() {
    let world = World::start().await;
    let file = world.data_dir().join("a-file");
    std::fs::write(&file, "").unwrap();
    let (port, dir) = (world.auth.address, PathBuf::from(world.data_dir()));
    for (message, setting, mend) in [
        (refused(&world, |c| c.data_dir = dir).await, "--data-dir", "another directory"),
        (refused(&world, |c| c.data_dir = file).await, "--data-dir", "may write"),
        (refused(&world, |c| c.listen = port).await, "--auth-listen", "0 picks a free one"),
        (
            refused(&world, |c| c.listen = ([0, 0, 0, 0], 0).into()).await,
            "--auth-listen",
            "--insecure",
        ),
        (
            refused(&world, |c| c.ops_listen = Some(port)).await,
            "--ops-listen",
            "0 picks a free one",
        ),
        (
            refused(&world, |c| c.ops_listen = Some(([0, 0, 0, 0], 0).into())).await,
            "--ops-listen",
            "--insecure",
        ),
        (
            refused(&world, |c| c.rival_window = std::time::Duration::from_secs(5)).await,
            "--rival-window",
            "must exceed",
        ),
    ] {
        assert!(message.starts_with(setting) && message.contains(mend), "{message}");
    }
    assert!(world.auth_client().get_jwks(GetJwksRequest {}).await.is_ok());
}

#[tokio::test]
async fn a_missing_or_wrong_ring_of_master_keys_is_an_error_and_destroys_nothing() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let ring = world.data_dir().join("master.keys");
    let kept = std::fs::read(&ring).unwrap();
    let (world, config) = world.stop_auth().await;
    let start = async || {
        let config = config.clone();
        let started = start_auth(config, world.clock.clone(), Arc::new(LogObserver), false).await;
        started.map(|(running, _)| running).map_err(|error| error.to_string())
    };
    std::fs::remove_file(&ring).unwrap();
    let missing = start().await.unwrap_err();
    assert!(missing.starts_with("--master-keys") && missing.contains("bring it back"), "{missing}");
    std::fs::write(&ring, "bm90IHRoZSBzYW1lIHRoaXJ0eS10d28gYnl0ZXMgISE\n").unwrap();
    let wrong = start().await.unwrap_err();
    assert!(wrong.starts_with("--master-keys") && wrong.contains("bring back"), "{wrong}");
    std::fs::write(&ring, "short\n").unwrap();
    let malformed = start().await.unwrap_err();
    assert!(malformed.contains("line 1"), "{malformed}");
    std::fs::write(&ring, kept).unwrap();
    let again = start().await.unwrap();
    let request = bearing(&tokens.access_token, ListSessionsRequest::default());
    let mut client = tests::auth_client_of(&again);
    assert_eq!(client.list_sessions(request).await.unwrap().into_inner().sessions.len(), 1);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn malformed_page_tokens_and_sizes_and_ids_are_named() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let list = async |page_size, page_token: &str| {
        let page = ListSessionsRequest { page_size, page_token: page_token.into() };
        world.auth_client().list_sessions(bearing(&tokens.access_token, page)).await
    };
    assert_eq!(reason(list(0, "not a page token").await), "PAGE_TOKEN_INVALID");
    assert_eq!(reason(list(0, "AAAA").await), "PAGE_TOKEN_INVALID");
    assert_eq!(reason(list(-1, "").await), "FIELD_INVALID");
    assert_eq!(list(i32::MAX, "").await.unwrap().into_inner().sessions.len(), 1);
    let revoke = RevokeSessionRequest { session_id: "../etc".into() };
    let refused = world.auth_client().revoke_session(bearing(&tokens.access_token, revoke)).await;
    assert_eq!(reason(refused), "FIELD_INVALID");
}
