//! A forged refresh token is refused without a trace in the database.

use std::{fs, path::Path};

use evergreen_proto::auth::v1::{LogoutRequest, RefreshRequest};
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
