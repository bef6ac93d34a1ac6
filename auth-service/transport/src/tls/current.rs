//! Files that are renewed while what they hold is in use.

use std::{
    fmt,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{Context, Digest, SHA256};
use token::clock::{Clock, Timestamp};
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::pem::{Named, shown};
use crate::config::ConfigError;

/// What a server or a client knows TLS by, which is in files and is read again.
pub trait Renewed: Clone + Send + 'static {
    /// Reads the files again, and goes by them from now on if they are others: whether they are.
    /// Otherwise, and if they cannot be used, what was read before stays. What is wrong is logged, but
    /// not a second time unless somebody `asked`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the setting and what to do.
    fn read_again(&self, asked: bool) -> Result<bool, ConfigError>;
}

/// Looks at the files of `tls` at every `interval`, for as long as it is polled. It reads them rather
/// than when they were written: that is exact, whoever replaces them and however, and they are small.
pub async fn keep_current(tls: Option<&impl Renewed>, interval: Duration) {
    let Some(tls) = tls else { return std::future::pending().await };
    loop {
        sleep(interval).await;
        let tls = tls.clone();
        // A disk that hangs must not keep others from running. What is wrong has been logged.
        let _ = tokio::task::spawn_blocking(move || tls.read_again(false)).await;
    }
}

/// The files of one side of TLS.
pub(super) trait Files: Send + Sync + fmt::Debug + 'static {
    /// What handshakes go by. It is cheap to clone.
    type Loaded: Clone + Send;

    /// Reads them.
    fn read(&self) -> Result<Contents, ConfigError>;

    /// What they come to, if they can be used at the time that `clock` tells.
    fn load(&self, read: &Contents, clock: &Arc<dyn Clock>) -> Result<Self::Loaded, ConfigError>;

    /// The setting that they are spoken of by.
    fn setting(&self) -> &'static str;

    /// The certificate and its key, if there is one.
    fn identity(&self) -> Option<(Named<'_>, Named<'_>)>;

    /// Until when that certificate is good.
    fn not_after(loaded: &Self::Loaded) -> Option<Timestamp>;
}

/// Files as they were read.
pub(super) struct Contents {
    /// The certificate and its key.
    pub(super) identity: Option<(Pem, Pem)>,
    /// The CAs that the other side's certificate must be of.
    pub(super) ca: Option<Pem>,
}

/// The text of a file, which may be a key's.
type Pem = Zeroizing<Vec<u8>>;

impl Contents {
    pub(super) fn read(
        identity: Option<(Named<'_>, Named<'_>)>,
        ca: Option<Named<'_>>,
    ) -> Result<Self, ConfigError> {
        let ca = ca.map(Named::read).transpose()?;
        let identity = identity.map(|(certificate, key)| Ok((certificate.read()?, key.read()?)));
        Ok(Self { identity: identity.transpose()?, ca })
    }

    /// Tells these contents from others of the same files.
    fn digest(&self) -> Digest {
        let mut digest = Context::new(&SHA256);
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        for part in identity.chain(&self.ca) {
            digest.update(&part.len().to_be_bytes());
            digest.update(part);
        }
        digest.finish()
    }
}

/// What is in force of some files. It is replaced when they are; whoever took it before keeps what it
/// has. Clones are the same one.
pub(super) struct Current<F: Files>(Arc<Shared<F>>);

struct Shared<F: Files> {
    files: F,
    clock: Arc<dyn Clock>,
    loaded: Mutex<F::Loaded>,
    /// Held while the files are read, so that the last to read is the last to write.
    seen: Mutex<Seen>,
}

/// What is known of the files.
struct Seen {
    /// Those that are in force.
    digest: Digest,
    /// Why those that are there cannot be used.
    complaint: Option<ConfigError>,
    /// What was said of the certificate's end.
    warned: End,
}

/// How near the end of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Far,
    Soon,
    Over,
}

impl End {
    /// That of a certificate which is good for so long.
    const fn after(left: Duration) -> Self {
        match left.as_secs() {
            0 => Self::Over,
            left if left < SOON.as_secs() => Self::Soon,
            _ => Self::Far,
        }
    }
}

impl<F: Files> Current<F> {
    pub(super) fn open(files: F, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let contents = files.read()?;
        let loaded = files.load(&contents, &clock)?;
        warn_of_readers(&files);
        let seen = Seen { digest: contents.digest(), complaint: None, warned: End::Far };
        let (loaded, seen) = (Mutex::new(loaded), Mutex::new(seen));
        let current = Self(Arc::new(Shared { files, clock, loaded, seen }));
        current.warn_of_end(&mut lock(&current.0.seen));
        Ok(current)
    }

    pub(super) fn loaded(&self) -> F::Loaded {
        lock(&self.0.loaded).clone()
    }

    /// What [`Renewed::read_again`] says.
    pub(super) fn read_again(&self, asked: bool) -> Result<bool, ConfigError> {
        let Shared { files, clock, loaded, seen } = &*self.0;
        let mut seen = lock(seen);
        let read = files.read().and_then(|contents| {
            let digest = contents.digest();
            if digest.as_ref() == seen.digest.as_ref() {
                return Ok(None);
            }
            files.load(&contents, clock).map(|loaded| Some((digest, loaded)))
        });
        let outcome = match read {
            Ok(Some((digest, renewed))) => {
                let good_until = F::not_after(&renewed).map(|end| shown(end).to_string());
                tracing::info!(good_until, "{}: the certificate was replaced", files.setting());
                *lock(loaded) = renewed;
                *seen = Seen { digest, complaint: None, warned: End::Far };
                warn_of_readers(files);
                Ok(true)
            }
            Ok(None) => {
                seen.complaint = None;
                Ok(false)
            }
            Err(error) => {
                if asked || seen.complaint.as_ref() != Some(&error) {
                    tracing::error!(%error, "the former certificate stays: the files cannot be used");
                }
                seen.complaint = Some(error.clone());
                Err(error)
            }
        };
        self.warn_of_end(&mut seen);
        outcome
    }

    /// Once when it comes near, and once when it has come.
    fn warn_of_end(&self, seen: &mut Seen) {
        let not_after = F::not_after(&self.loaded());
        let (Some(not_after), Some((certificate, _))) = (not_after, self.0.files.identity()) else {
            return;
        };
        let end = End::after(not_after.saturating_since(self.0.clock.now()));
        if end <= seen.warned {
            return;
        }
        seen.warned = end;
        let (setting, good_until) = (certificate.setting, shown(not_after));
        if end == End::Over {
            tracing::error!(%good_until, "{setting}: the certificate has expired; renew it");
        } else {
            tracing::warn!(%good_until, "{setting}: the certificate runs out; renew it");
        }
    }
}

impl<F: Files> Clone for Current<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: Files> fmt::Debug for Current<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("files", &self.0.files).finish_non_exhaustive()
    }
}

fn warn_of_readers(files: &impl Files) {
    let Some((_, Named { setting, path })) = files.identity() else { return };
    let mode = path.metadata().map_or(0, |file| file.permissions().mode() & 0o777);
    if mode & 0o007 != 0 {
        let (path, mode) = (path.display(), format!("{mode:04o}"));
        tracing::warn!(%path, mode, "{setting}: others may read the key; chmod 600, and replace it");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long before its end a certificate had better be renewed.
pub(crate) const SOON: Duration = Duration::from_secs(14 * 86_400);
/// How often the files of a certificate are looked at while it is in use.
pub const LOOK_AT_CERTIFICATE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_comes_near_two_weeks_before_it_is_there() {
        for (left, end) in [
            (SOON, End::Far),
            (SOON - Duration::from_secs(1), End::Soon),
            (Duration::from_secs(1), End::Soon),
            (Duration::ZERO, End::Over),
        ] {
            assert_eq!(End::after(left), end, "{left:?}");
        }
    }
}
