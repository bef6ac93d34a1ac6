//! The operator's master keys.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use token::{
    KeyRing, MasterKey, RefreshClaims, RefreshTokenError,
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use tokio::sync::Mutex;
use transport::whole_file::{self, IfThere};
use zeroize::Zeroizing;

use crate::app::error::{AppError, KeysError};

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

    /// The error of a database whose keys this ring does not open.
    pub(super) fn mismatch(&self) -> KeysError {
        KeysError::Mismatch { path: self.path.display().to_string() }
    }

    /// Reads the file again, unless that was done a moment ago.
    pub(super) async fn reload(&self) -> Result<(), AppError> {
        let mut last = self.last_reload.lock().await;
        let now = self.clock.now();
        if last.is_some_and(|last| now.saturating_since(last) < RELOAD_INTERVAL) {
            return Err(AppError::KeysUnavailable);
        }
        *last = Some(now);
        self.read_again().await.map(drop).map_err(|error| {
            tracing::error!(%error, "the master keys could not be read again");
            AppError::KeysUnavailable
        })
    }

    /// Reads the file again, and gives back the name of the key that signs from now on.
    pub(crate) async fn read_again(&self) -> Result<String, KeysError> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read_ring(&path)).await;
        let ring = read.map_err(|error| unreadable(&self.path, io::Error::other(error)))??;
        let signs = ring.signing().kid().to_owned();
        self.ring.store(Arc::new(ring));
        Ok(signs)
    }
}

/// The ring in the file at `path`.
pub(crate) fn read_ring(path: &Path) -> Result<KeyRing, KeysError> {
    let text =
        fs::read_to_string(path).map(Zeroizing::new).map_err(|source| unreadable(path, source))?;
    KeyRing::parse(&text)
        .map_err(|source| KeysError::Malformed { path: path.display().to_string(), source })
}

fn unreadable(path: &Path, source: io::Error) -> KeysError {
    KeysError::Unreadable { path: path.display().to_string(), source }
}

/// Writes a ring of one new key, and none over a file that is there.
fn create_ring(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let key = MasterKey::generate(entropy).to_line();
    let text = Zeroizing::new(format!(
        "# Evergreen's master keys, one a line; the first one signs. Keep them secret,\n\
         # and keep a copy apart from the database: without them every session ends.\n\
         {}\n",
        *key
    ));
    match whole_file::write(path, text.as_bytes(), IfThere::Keep) {
        // One that appeared meanwhile counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
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
            bound_to: None,
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

    #[tokio::test]
    async fn a_ring_that_is_read_again_because_somebody_asked_is_the_one_in_use_if_it_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.keys");
        fs::write(&path, line(1)).unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let keys = MasterKeys::open(&path, false, clock, &SeededEntropy::new(0)).unwrap();
        let first = keys.ring().signing().kid().to_owned();
        fs::write(&path, format!("{}\n{}", line(2), line(1))).unwrap();
        let second = keys.read_again().await.unwrap();
        assert_ne!(second, first);
        // However soon after the last time.
        fs::write(&path, line(1)).unwrap();
        assert_eq!(keys.read_again().await.unwrap(), first);
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(keys.read_again().await, Err(KeysError::Malformed { .. })));
        assert_eq!(keys.ring().signing().kid(), first);
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
