//! A forged token is refused, and leaves no trace in the database.

use std::{fs, path::Path};

use evergreen_proto::{
    api::v1::ListTreesRequest,
    auth::v1::{LogoutRequest, RefreshRequest},
};
use tests::{World, bearing, reason};

/// The database's files, byte for byte.
fn database(dir: &Path) -> Vec<Option<Vec<u8>>> {
    ["auth.db", "auth.db-wal"].map(|name| fs::read(dir.join(name)).ok()).to_vec()
}

/// The token with one character of one of its three parts changed.
fn altered(token: &str, part: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let first = if parts[part].starts_with('A') { 'B' } else { 'A' };
    parts[part].replace_range(..1, &first.to_string());
    parts.join(".")
}

/// Fault 48, for refresh tokens.
#[tokio::test]
async fn a_forged_token_writes_nothing() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let token = &tokens.refresh_token;
    let mut forged: Vec<String> = (0..3).map(|part| altered(token, part)).collect();
    forged.push(token[..token.len() - 1].to_owned());
    forged.push(token.rsplit_once('.').unwrap().0.to_owned());
    forged.push(format!("{}.", token.rsplit_once('.').unwrap().0));
    forged.push(format!("{token}A"));
    forged.push("..".to_owned());
    forged.push("x".repeat(12 * 1024));
    // {"typ":"rt+jwt","alg":"none"}
    forged.push(format!(
        "eyJ0eXAiOiJydCtqd3QiLCJhbGciOiJub25lIn0.{}.",
        token.split('.').nth(1).unwrap()
    ));

    let before = database(world.data_dir());
    for token in &forged {
        let refresh = world.auth_client().refresh(bearing(token, RefreshRequest {})).await;
        assert_eq!(reason(refresh), "REFRESH_TOKEN_INVALID", "{token}");
        let logout = world.auth_client().logout(bearing(token, LogoutRequest {})).await;
        assert!(logout.is_err(), "{token}");
    }
    assert_eq!(database(world.data_dir()), before);
    let honest = world.auth_client().refresh(bearing(token, RefreshRequest {})).await;
    assert!(honest.is_ok());
    assert_ne!(database(world.data_dir()), before, "a rotation does write");
}

/// Fault 48: a header list beyond the transport's limit. The connection lives.
#[tokio::test]
async fn a_token_of_64_kib_is_refused_and_the_connection_lives() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let mut client = world.auth_client();
    let long = "x".repeat(64 * 1024);
    assert!(client.refresh(bearing(&long, RefreshRequest {})).await.is_err());
    assert!(client.refresh(bearing(&tokens.refresh_token, RefreshRequest {})).await.is_ok());
}

/// Fault 48, for access tokens: those that fit into the transport are refused with their reason.
#[tokio::test]
async fn a_forged_access_token_of_any_length_is_refused_and_the_connection_lives() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let (header, rest) = tokens.access_token.split_once('.').unwrap();
    let (_, signature) = rest.rsplit_once('.').unwrap();
    let mut client = world.api_client();
    let mut list = async |token: &str| {
        client.list_trees(bearing(token, ListTreesRequest::default())).await.map(drop)
    };
    for length in [1, 100, 1_000, 4_000, 12 * 1024 - header.len() - signature.len() - 2] {
        let forged = format!("{header}.{}.{signature}", "A".repeat(length));
        assert_eq!(reason(list(&forged).await), "ACCESS_TOKEN_INVALID", "{length}");
    }
    assert_eq!(reason(list(&tokens.refresh_token).await), "ACCESS_TOKEN_INVALID");
    assert!(list(&format!("{header}.{}.{signature}", "A".repeat(64 * 1024))).await.is_err());
    list(&tokens.access_token).await.expect("the connection lives");
}
