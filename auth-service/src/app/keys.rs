//! The operator's master keys, and the keys that sign access tokens.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use token::{
    KeyError, KeyRing, KeySet, MasterKey, PublicKey, RefreshClaims, RefreshTokenError, SigningKey,
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::{
    app::error::{AppError, KeysError},
    storage::{
        error::StoreError,
        store::{KeyState, SealedKey, Store},
    },
};

/// The ring of master keys, read from a file and read again when a token names a key that it lacks.
#[derive(Debug)]
pub(crate) struct MasterKeys {
    path: PathBuf,
    ring: ArcSwap<KeyRing>,
    last_reload: Mutex<Option<Timestamp>>,
    clock: Arc<dyn Clock>,
}

impl MasterKeys {
    /// Reads the ring from `path`. If there is no file and `may_create`, makes one with a new key,
    /// readable by its owner alone.
    pub(crate) fn open(
        path: &Path,
        may_create: bool,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Self, KeysError> {
        let ring = match read_ring(path) {
            Err(KeysError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                if !may_create {
                    return Err(KeysError::Missing { path: path.display().to_string() });
                }
                create_ring(path, entropy).map_err(|source| unreadable(path, source))?;
                read_ring(path)?
            }
            ring => ring?,
        };
        Ok(Self {
            path: path.to_owned(),
            ring: ArcSwap::from_pointee(ring),
            last_reload: Mutex::new(None),
            clock,
        })
    }

    /// The ring as it was last read.
    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        self.ring.load_full()
    }

    /// What a genuine refresh token says.
    ///
    /// A token under a key that is not in the ring may have been made by an instance that has read
    /// a newer one, so the file is read again, at most once an interval. Until it could be read,
    /// the token is neither accepted nor rejected.
    pub(crate) async fn verify(&self, token: &str) -> Result<RefreshClaims, AppError> {
        match self.ring.load().verify_refresh_token(token) {
            Ok(claims) => Ok(claims),
            Err(RefreshTokenError::UnknownKey) => {
                self.reload().await?;
                self.ring
                    .load()
                    .verify_refresh_token(token)
                    .map_err(|_| AppError::RefreshTokenInvalid)
            }
            Err(_) => Err(AppError::RefreshTokenInvalid),
        }
    }

    async fn reload(&self) -> Result<(), AppError> {
        let mut last = self.last_reload.lock().await;
        let now = self.clock.now();
        if last.is_some_and(|last| now.saturating_since(last) < RELOAD_INTERVAL) {
            return Err(AppError::KeysUnavailable);
        }
        *last = Some(now);
        let path = self.path.clone();
        let ring = tokio::task::spawn_blocking(move || read_ring(&path))
            .await
            .map_err(|_| AppError::KeysUnavailable)?
            .map_err(|error| {
                tracing::error!(%error, "the master keys could not be read again");
                AppError::KeysUnavailable
            })?;
        self.ring.store(Arc::new(ring));
        Ok(())
    }
}

/// The keys of access tokens.
#[derive(Debug)]
pub(crate) struct Keys {
    active: SigningKey,
    published: Vec<PublicKey>,
    trusted: KeySet,
}

impl Keys {
    /// Unseals the signing keys of the database; makes the first one if there is none.
    pub(crate) async fn open(
        store: &dyn Store,
        master: &MasterKeys,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, KeysError> {
        let storage = |error: StoreError| KeysError::Storage { detail: error.to_string() };
        let mut stored = store.signing_keys().await.map_err(storage)?;
        if !stored.iter().any(|key| key.state == KeyState::Active) {
            let key = SigningKey::generate(entropy);
            let kid = key.public().kid().to_owned();
            let sealed = SealedKey {
                state: KeyState::Active,
                public_key: key.public().x(),
                sealed_seed: master.ring().seal(&kid, key.seed(), entropy),
                create_time: now,
                kid,
            };
            store.insert_signing_key(&sealed).await.map_err(storage)?;
            // Another instance may have been first: what the database holds is what counts.
            stored = store.signing_keys().await.map_err(storage)?;
        }
        let mismatch =
            |_: KeyError| KeysError::Mismatch { path: master.path.display().to_string() };
        let active = stored
            .iter()
            .find(|key| key.state == KeyState::Active)
            .ok_or_else(|| KeysError::Storage { detail: "no signing key is active".into() })?;
        let active = unseal(active, &master.ring()).map_err(mismatch)?;
        let published = stored
            .iter()
            .map(|key| PublicKey::from_jwk(&key.kid, &key.public_key))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| KeysError::Storage { detail: error.to_string() })?;
        let trusted = published.iter().cloned().collect();
        Ok(Self { active, published, trusted })
    }

    /// The key that signs.
    pub(crate) fn active(&self) -> &SigningKey {
        &self.active
    }

    /// Every key that a verifier should know.
    pub(crate) fn published(&self) -> &[PublicKey] {
        &self.published
    }

    /// The same, to verify with.
    pub(crate) fn trusted(&self) -> &KeySet {
        &self.trusted
    }
}

fn unseal(key: &SealedKey, ring: &KeyRing) -> Result<SigningKey, KeyError> {
    let seed = ring.open(&key.kid, &key.sealed_seed)?;
    let seed = seed.as_slice().try_into().map_err(|_| KeyError::Unseal)?;
    Ok(SigningKey::from_seed(Zeroizing::new(seed)))
}

fn read_ring(path: &Path) -> Result<KeyRing, KeysError> {
    let text =
        fs::read_to_string(path).map(Zeroizing::new).map_err(|source| unreadable(path, source))?;
    KeyRing::parse(&text)
        .map_err(|source| KeysError::Malformed { path: path.display().to_string(), source })
}

fn unreadable(path: &Path, source: io::Error) -> KeysError {
    KeysError::Unreadable { path: path.display().to_string(), source }
}

/// Writes a ring of one new key: wholly or not at all, and never over a file that is there.
fn create_ring(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let key = MasterKey::generate(entropy);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let unfinished = path.with_extension("new");
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&unfinished)?;
    writeln!(
        file,
        "# Evergreen's master keys, one a line; the first one signs. Keep them secret,"
    )?;
    writeln!(file, "# and keep a copy apart from the database: without them every session ends.")?;
    writeln!(file, "{}", *key.to_line())?;
    file.sync_all()?;
    // A link, unlike a rename, does not replace a ring that appeared meanwhile: that one counts.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked?,
    }
    fs::File::open(directory)?.sync_all()
}

/// A flood of made-up key names costs at most one read of the file in this time.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use token::{Nonce, clock::ManualClock, entropy::SeededEntropy};
    use uuid::Uuid;

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn claims() -> RefreshClaims {
        RefreshClaims {
            session: Uuid::from_u128(1),
            user: Uuid::from_u128(2),
            generation: 0,
            nonce: Nonce::from_bytes([3; 16]),
            auth_time: START,
            issued_at: START,
            expires_at: START + Duration::from_secs(60),
        }
    }

    fn line(seed: u64) -> String {
        MasterKey::generate(&SeededEntropy::new(seed)).to_line().to_string()
    }

    fn token(seed: u64) -> String {
        KeyRing::parse(&line(seed)).unwrap().sign_refresh_token(&claims())
    }

    #[tokio::test]
    async fn an_unknown_key_causes_one_reload_an_interval_and_no_rejection_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.keys");
        fs::write(&path, line(1)).unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let keys = MasterKeys::open(&path, false, clock.clone(), &SeededEntropy::new(0)).unwrap();
        assert!(keys.verify(&token(1)).await.is_ok());

        // Reading again finds nothing new, so the token is a forgery.
        assert!(matches!(keys.verify(&token(2)).await, Err(AppError::RefreshTokenInvalid)));
        // Another instance now has a newer ring; this one may not read again yet, and so does not
        // judge.
        fs::write(&path, format!("{}\n{}", line(2), line(1))).unwrap();
        assert!(matches!(keys.verify(&token(2)).await, Err(AppError::KeysUnavailable)));
        clock.advance(RELOAD_INTERVAL);
        assert!(keys.verify(&token(2)).await.is_ok());
        assert!(keys.verify(&token(1)).await.is_ok());
    }

    /// Fault 60.
    #[tokio::test]
    async fn an_unreadable_ring_rejects_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.keys");
        fs::write(&path, line(1)).unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let keys = MasterKeys::open(&path, false, clock.clone(), &SeededEntropy::new(0)).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(keys.verify(&token(1)).await.is_ok(), "known keys go on");
        assert!(matches!(keys.verify(&token(2)).await, Err(AppError::KeysUnavailable)));
        fs::write(&path, "not a key").unwrap();
        clock.advance(RELOAD_INTERVAL);
        assert!(matches!(keys.verify(&token(2)).await, Err(AppError::KeysUnavailable)));
    }

    #[test]
    fn a_missing_ring_is_made_only_where_nothing_depends_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.keys");
        let open = |may_create| {
            let clock = Arc::new(ManualClock::at(START));
            MasterKeys::open(&path, may_create, clock, &SeededEntropy::new(4))
        };
        assert!(matches!(open(false), Err(KeysError::Missing { .. })));
        let first = open(true).unwrap().ring().signing().kid().to_owned();
        assert_eq!(open(true).unwrap().ring().signing().kid(), first, "the file is kept");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
