//! Where a profile's session is kept: in a file, or in the operating system's keyring.

use std::sync::Arc;

use clap::ValueEnum;
use client_sdk::{
    AuthenticationError,
    store::{FileStore, KeyringStore, Store, StoreError},
};
use keyring_core::CredentialStore;

use super::Profile;
use crate::errors::{Error, Exit};

/// Where a profile keeps its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// A file of the profile's, which its user alone may read.
    #[default]
    File,
    /// The operating system's keyring.
    Keyring,
}

/// A profile's store, wherever it is.
#[derive(Debug)]
pub(crate) enum Kept {
    File(FileStore),
    Keyring(KeyringStore),
}

impl Place {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::File, Self::Keyring].into_iter().find(|place| place.as_str() == name)
    }

    /// The store of this profile, whose folder has been made.
    pub(crate) async fn open(self, profile: &Profile) -> Result<Kept, Error> {
        match self {
            Self::File => {
                let store = FileStore::open(profile.session_file());
                Ok(Kept::File(store.map_err(|e| Error::from(AuthenticationError::from(e)))?))
            }
            Self::Keyring => {
                // To connect to it blocks, and so does to leave it.
                let profile = profile.clone();
                let open = move || entry(&*system_keyring().map_err(|why| absent(&why))?, &profile);
                let opened = tokio::task::spawn_blocking(open).await;
                opened.unwrap_or_else(|e| Err(absent(&e.to_string()))).map(Kept::Keyring)
            }
        }
    }
}

impl Kept {
    /// Removes the session that is kept there. Tells whether there was one.
    pub(crate) async fn clear(&self) -> Result<bool, Error> {
        let store: &dyn Store = match self {
            Self::File(store) => store,
            Self::Keyring(store) => store,
        };
        let cleared = async {
            let mut guard = store.lock().await?;
            let kept = guard.load().await?;
            guard.clear().await?;
            Ok::<_, StoreError>(kept.is_some())
        };
        cleared.await.map_err(|e| AuthenticationError::from(e).into())
    }
}

/// The profile's entry. It bears the name of the profile's folder, since a profile of this name may
/// also be below another `--config-dir`; the lock that makes processes take turns is in there.
fn entry(keyring: &CredentialStore, profile: &Profile) -> Result<KeyringStore, Error> {
    let folder = &profile.folder;
    let folder = folder.canonicalize().map_err(|e| Error::io("find", folder, &e))?;
    let entry = keyring.build(SERVICE, &folder.to_string_lossy(), None);
    let entry = entry.map_err(|e| absent(&e.to_string()))?;
    let name = format!("{SERVICE}/{}", profile.name);
    Ok(KeyringStore::with_entry(entry, &name, folder))
}

fn absent(why: &str) -> Error {
    let why = why.trim_end_matches('.');
    Error::new(Exit::Failure, format!("There is no keyring here that can be used: {why}."))
        .then("Keep the session in a file: `evergreen login --store file`.")
}

/// The one that a desktop offers on its session bus.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn system_keyring() -> Result<Arc<CredentialStore>, String> {
    match zbus_secret_service_keyring_store::Store::new() {
        Ok(store) => Ok(store),
        // What the store itself says of it is that the platform failed.
        Err(keyring_core::Error::PlatformFailure(cause)) => Err(cause.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn system_keyring() -> Result<Arc<CredentialStore>, String> {
    Err("those of this operating system are not supported yet".to_owned())
}

/// What entries are listed under.
const SERVICE: &str = "evergreen";

#[cfg(test)]
mod tests {
    use client_sdk::{
        Session, TokenPair,
        testing::{ScriptedRefresher, store_contract},
    };
    use keyring_core::mock;
    use tempfile::TempDir;

    use super::*;

    fn profile(home: &TempDir) -> Profile {
        let profile = Profile::find("work".parse().unwrap(), Some(home.path())).unwrap();
        profile.make().unwrap();
        profile
    }

    #[tokio::test]
    async fn processes_that_share_a_profile_take_turns_at_its_keyring() {
        let (keyring, home) = (mock::Store::new().unwrap(), TempDir::new().unwrap());
        store_contract(|| entry(&*keyring, &profile(&home)).unwrap()).await;
    }

    #[tokio::test]
    async fn profiles_of_one_name_share_no_entry_and_one_that_is_cleared_is_gone() {
        let keyring = mock::Store::new().unwrap();
        let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let store = |home: &TempDir| entry(&*keyring, &profile(home)).unwrap();
        let session = Session::custom(ScriptedRefresher::new()).store(store(&here));
        let session = session.connect().await.unwrap();
        session.set_tokens(TokenPair::new("access").refresh_token("refresh")).await.unwrap();
        assert!(store(&here).load().await.unwrap().is_some());
        assert!(store(&there).load().await.unwrap().is_none());
        assert!(!Kept::Keyring(store(&there)).clear().await.unwrap());
        assert!(store(&here).load().await.unwrap().is_some());
        assert!(Kept::Keyring(store(&here)).clear().await.unwrap());
        assert!(store(&here).load().await.unwrap().is_none());
    }
}
