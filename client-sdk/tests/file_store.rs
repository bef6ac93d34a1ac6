//! The file survives crashes and strangers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{fs, path::Path};

use client_sdk::{
    AuthenticationError, Session,
    store::{FileStore, Record, Store, StoreError, StoreErrorKind},
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

/// Every use of the store is refused as `kind`, with a message that names the file and holds
/// `says`; what is there stays as it was.
async fn refuses(path: &Path, store: &FileStore, kind: StoreErrorKind, says: &str) {
    let judge = |error: StoreError| {
        assert_eq!(error.kind(), kind, "{error}");
        let message = error.to_string();
        assert!(message.contains(path.to_str().unwrap()) && message.contains(says), "{message}");
    };
    judge(FileStore::open(path).unwrap_err());
    judge(store.load().await.unwrap_err());
    let mut guard = store.lock().await.unwrap();
    judge(guard.load().await.unwrap_err());
    judge(guard.save(&record().await).await.unwrap_err());
    judge(guard.clear().await.unwrap_err());
    let session = Session::custom(ScriptedRefresher::new()).store(store.clone()).connect().await;
    let Err(AuthenticationError::Store { kind: told, .. }) = session else { panic!("{session:?}") };
    assert_eq!(told, kind);
}

async fn record() -> Record {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    saved(&path).await;
    Record::decode(&fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn content_that_is_no_record_is_a_typed_error_that_says_how_to_mend_it_and_is_kept() {
    use StoreErrorKind::{Corrupt, Foreign};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let store = saved(&path).await;
    let whole = fs::read_to_string(&path).unwrap();
    let with = |old: &str, new: &str| {
        assert!(whole.contains(old), "{old}");
        whole.replace(old, new)
    };
    let long = format!("access-{}", "x".repeat(70_000));
    for (content, kind, says) in [
        (String::new(), Corrupt, "move it away"),
        (whole[..20].to_owned(), Corrupt, "cut short"),
        (whole[..whole.len() / 2].to_owned(), Corrupt, "cut short"),
        (whole.clone() + "}", Corrupt, "damaged"),
        ("{\"mine\": 1}".to_owned(), Foreign, "elsewhere"),
        ("milk, bread".to_owned(), Foreign, "elsewhere"),
        (with("evergreen-session", "evergreen-notes"), Foreign, "elsewhere"),
        (with("\"version\":1", "\"version\":2"), Foreign, "update"),
        (with("\"version\":1", "\"version\":2,\"more\":[]"), Foreign, "update"),
        (with("\"session_id\"", "\"session\""), Corrupt, "damaged"),
        (with("access-0", "access\\n0"), Corrupt, "header"),
        (with("access-0", "access 0"), Corrupt, "header"),
        (with("refresh-0", "refresh\\u0000"), Corrupt, "header"),
        (with("refresh-0", "refr\u{e9}sh"), Corrupt, "header"),
        (with("access-0", &long), Corrupt, "too long"),
        (with("\"attempt_key\":null", "\"attempt_key\":\"short\""), Corrupt, "damaged"),
        ("x".repeat(600_000), Foreign, "too large"),
    ] {
        fs::write(&path, &content).unwrap();
        refuses(&path, &store, kind, says).await;
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[cfg(unix)]
mod unix {
    use std::{
        os::unix::fs::{PermissionsExt as _, chown, symlink},
        process::Command,
    };

    use StoreErrorKind::{Foreign, Permissions};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn fifo(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[tokio::test]
    async fn a_file_that_others_may_open_is_refused_until_it_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let store = saved(&path).await;
        let whole = fs::read(&path).unwrap();
        for open in [0o640, 0o620, 0o604, 0o602, 0o601, 0o666, 0o777] {
            set_mode(&path, open);
            refuses(&path, &store, Permissions, "`chmod 600 ").await;
            assert_eq!((fs::read(&path).unwrap(), mode(&path)), (whole.clone(), open));
        }
        set_mode(&path, 0o600);
        assert!(store.load().await.unwrap().is_some());
        // Less than what we give it does no harm.
        set_mode(&path, 0o400);
        assert!(store.load().await.unwrap().is_some());
    }

    #[tokio::test]
    async fn somebody_else_s_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let store = saved(&path).await;
        if chown(&path, Some(12_345), None).is_err() {
            eprintln!("skipped: only root can give a file away");
            return;
        }
        refuses(&path, &store, Permissions, "belongs to user 12345").await;
    }

    #[tokio::test]
    async fn a_link_a_directory_and_a_pipe_are_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let store = FileStore::open(&path).unwrap();
        let target = folder.path().join("target.json");
        saved(&target).await;
        let whole = fs::read(&target).unwrap();

        symlink(&target, &path).unwrap();
        refuses(&path, &store, Foreign, "symbolic link").await;
        assert_eq!(fs::read(&target).unwrap(), whole);
        fs::remove_file(&path).unwrap();
        symlink(folder.path().join("nowhere"), &path).unwrap();
        refuses(&path, &store, Foreign, "symbolic link").await;
        fs::remove_file(&path).unwrap();

        fs::create_dir(&path).unwrap();
        refuses(&path, &store, Foreign, "directory").await;
        fs::remove_dir(&path).unwrap();

        fifo(&path);
        refuses(&path, &store, Foreign, "no regular file").await;
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_lock_file_that_is_not_ours_alone_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let store = saved(&path).await;
        let lock = folder.path().join("tokens.json.lock");
        let refused = async |kind, says: &str| {
            let error = store.lock().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            let message = error.to_string();
            assert!(message.contains("tokens.json.lock") && message.contains(says), "{message}");
        };
        assert_eq!(mode(&lock), 0o600);
        set_mode(&lock, 0o644);
        refused(Permissions, "`chmod 600 ").await;
        if chown(&lock, Some(12_345), None).is_ok() {
            refused(Permissions, "belongs to user 12345").await;
        }
        fs::remove_file(&lock).unwrap();
        symlink(folder.path().join("elsewhere"), &lock).unwrap();
        refused(Foreign, "symbolic link").await;
        assert!(!folder.path().join("elsewhere").exists());
        fs::remove_file(&lock).unwrap();
        fs::create_dir(&lock).unwrap();
        refused(Foreign, "directory").await;
        fs::remove_dir(&lock).unwrap();
        fifo(&lock);
        refused(Foreign, "no regular file").await;
        fs::remove_file(&lock).unwrap();
        drop(store.lock().await.unwrap());
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path().join("no/tokens.json")).unwrap();
    let error = store.lock().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("no/tokens.json"), "{error}");
}

// Fault 23: the lock is the kernel's, so it ends with its holder.
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
