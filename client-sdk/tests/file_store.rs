//! The file survives crashes and strangers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{fs, path::Path};

use client_sdk::{
    Session,
    store::{FileStore, Store},
    testing::{ScriptedRefresher, pair},
};

async fn saved(path: &Path) -> FileStore {
    let store = FileStore::open(path).unwrap();
    let session =
        Session::custom(ScriptedRefresher::new()).store(store.clone()).connect().await.unwrap();
    session.set_tokens(pair(0)).await.unwrap();
    store
}

#[tokio::test]
async fn a_session_is_resumed_from_its_file_offline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    saved(&path).await;
    let store = FileStore::open(&path).unwrap();
    let session = Session::custom(ScriptedRefresher::new()).store(store).connect().await.unwrap();
    assert!(session.access_token().is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    fs::write(folder.path().join("tokens.json.tmp"), "left by a crash").unwrap();
    saved(&path).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!folder.path().join("tokens.json.tmp").exists());
}

#[tokio::test]
async fn truncated_or_foreign_content_is_an_error_that_names_the_file_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let store = saved(&path).await;
    let whole = fs::read(&path).unwrap();
    for content in [&whole[..whole.len() / 2], b"{\"mine\": 1}", b""] {
        fs::write(&path, content).unwrap();
        let error = FileStore::open(&path).unwrap_err();
        assert!(error.to_string().contains("tokens.json"), "{error}");
        let record = client_sdk::store::Record::decode(&whole).unwrap();
        let mut guard = store.lock().await.unwrap();
        assert!(guard.save(&record).await.is_err());
        assert!(guard.clear().await.is_err());
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

// Torture 23: the lock is the kernel's, so it ends with its holder.
#[tokio::test]
async fn a_holder_that_goes_away_frees_the_lock_and_one_that_waits_can_give_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let (a, b) = (FileStore::open(&path).unwrap(), FileStore::open(&path).unwrap());
    let held = a.lock().await.unwrap();
    let brief = std::time::Duration::from_millis(20);
    assert!(tokio::time::timeout(brief, b.lock()).await.is_err());
    drop(held);
    let _held = b.lock().await.unwrap();
}

#[tokio::test]
async fn a_cleared_store_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let store = saved(&path).await;
    store.lock().await.unwrap().clear().await.unwrap();
    assert!(store.load().await.unwrap().is_none());
}
