//! Every store keeps the same promises.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use client_sdk::{
    store::{FileStore, MemoryStore},
    testing::{store_contract, store_watch_contract},
};

#[tokio::test(start_paused = true)]
async fn memory_keeps_the_contract() {
    let store = MemoryStore::new();
    store_contract(|| store.clone()).await;
    store_watch_contract(|| store.clone()).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let open = || FileStore::open(folder.path().join("tokens.json")).unwrap();
    store_contract(open).await;
    store_watch_contract(open).await;
}

// On threads of their own, so that handles really meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_keeps_the_contract_among_threads() {
    let folder = tempfile::tempdir().unwrap();
    store_contract(|| FileStore::open(folder.path().join("tokens.json")).unwrap()).await;
}

#[cfg(feature = "keyring")]
mod keyring {
    use std::{
        any::Any,
        sync::{Arc, mpsc},
    };

    use client_sdk::{
        Event, Session,
        store::{KeyringStore, Store as _, StoreErrorKind},
        testing::{ScriptedRefresher, pair},
    };
    use keyring_core::{Credential, CredentialStore, Entry, Error, api::CredentialApi, mock};
    use tempfile::TempDir;

    use super::*;

    /// A keyring of this test alone, and the directory of its lock.
    struct Keyring {
        keyring: Arc<CredentialStore>,
        folder: TempDir,
    }

    impl Keyring {
        fn new() -> Self {
            Self { keyring: mock::Store::new().unwrap(), folder: tempfile::tempdir().unwrap() }
        }

        fn entry(&self) -> Entry {
            self.keyring.build("evergreen", "ada", None).unwrap()
        }

        fn open(&self) -> KeyringStore {
            KeyringStore::with_entry(self.entry(), "evergreen/ada", self.folder.path())
        }

        /// The next call to the keyring fails.
        fn fail_next(&self, error: Error) {
            let entry = self.entry();
            entry.as_any().downcast_ref::<mock::Cred>().unwrap().set_error(error);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_keyring_keeps_the_contract() {
        let keyring = Keyring::new();
        store_contract(|| keyring.open()).await;
        store_watch_contract(|| keyring.open()).await;
    }

    #[tokio::test]
    async fn a_session_is_resumed_from_the_keyring() {
        let keyring = Keyring::new();
        let connect = || Session::custom(ScriptedRefresher::new()).store(keyring.open()).connect();
        connect().await.unwrap().set_tokens(pair(0)).await.unwrap();
        assert!(connect().await.unwrap().access_token().is_some());
    }

    #[tokio::test]
    async fn what_ails_a_keyring_is_told_and_nothing_is_overwritten() {
        let keyring = Keyring::new();
        let store = keyring.open();
        keyring.fail_next(Error::NoStorageAccess("locked".into()));
        let error = store.load().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("unlock"), "{error}");

        keyring.entry().set_secret(b"a password of somebody").unwrap();
        let error = store.load().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Foreign);
        assert!(!error.to_string().contains("somebody"), "{error}");
        assert!(store.lock().await.unwrap().clear().await.is_err());
        assert_eq!(keyring.entry().get_secret().unwrap(), b"a password of somebody");
    }

    #[tokio::test(start_paused = true)]
    async fn a_keyring_that_takes_no_secret_is_an_event_and_calls_go_on() {
        let keyring = Keyring::new();
        let refresher = ScriptedRefresher::new();
        let session =
            Session::custom(refresher.clone()).store(keyring.open()).connect().await.unwrap();
        let mut events = session.events();
        // The read before the save fails: what is there is not known, so nothing is written.
        keyring.fail_next(Error::TooLong("secret".to_owned(), 2560));
        session.set_tokens(pair(0)).await.unwrap();
        assert_eq!(events.recv().await, Some(Event::SignedIn));
        assert!(matches!(events.recv().await, Some(Event::SaveFailed { .. })));
        assert!(session.access_token().is_some());
    }

    #[tokio::test]
    async fn without_a_default_keyring_the_error_says_how_to_choose_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = KeyringStore::open("evergreen", "ada", folder.path()).unwrap_err();
        assert!(error.to_string().contains("set_default_store"), "{error}");
    }

    /// A credential that tells where its connection ends.
    #[derive(Debug)]
    struct Connected(mpsc::Sender<bool>);

    impl Drop for Connected {
        fn drop(&mut self) {
            self.0.send(tokio::runtime::Handle::try_current().is_ok()).unwrap();
        }
    }

    impl CredentialApi for Connected {
        fn set_secret(&self, _: &[u8]) -> keyring_core::Result<()> {
            Ok(())
        }

        fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
            Err(Error::NoEntry)
        }

        fn delete_credential(&self) -> keyring_core::Result<()> {
            Err(Error::NoEntry)
        }

        fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
            Ok(None)
        }

        fn get_specifiers(&self) -> Option<(String, String)> {
            None
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    /// To say goodbye to a keyring may wait for its answer, which a runtime forbids.
    #[tokio::test]
    async fn a_keyring_is_left_away_from_the_runtime() {
        let (ended, told) = mpsc::channel();
        let folder = tempfile::tempdir().unwrap();
        let entry = Entry::new_with_credential(Arc::new(Connected(ended)));
        let store = KeyringStore::with_entry(entry, "evergreen/ada", folder.path());
        let clone = store.clone();
        drop(store);
        assert!(clone.load().await.unwrap().is_none());
        assert!(told.try_recv().is_err(), "a clone still uses it");
        drop(clone);
        let on_the_runtime = tokio::task::spawn_blocking(move || told.recv()).await.unwrap();
        assert_eq!(on_the_runtime, Ok(false));
    }
}
