//! A server's certificate, while it serves.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::Digest;
use token::clock::{Clock, Timestamp};
use tokio::time::sleep;
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_stream::Stream;

use super::{
    Handshakes, TlsFiles,
    files::{Contents, Loaded},
    pem::shown,
};
use crate::{config::ConfigError, metrics::Metrics};

/// What a server's handshakes go by. It is replaced when its files are, and calls under way do not
/// notice: a connection keeps what it began with. Clones are the same one.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: TlsFiles,
    clock: Arc<dyn Clock>,
    current: Mutex<Loaded>,
    /// Held while the files are read, so that the last to read is the last to write.
    seen: Mutex<Seen>,
}

/// What is known of the files.
struct Seen {
    /// Those that `current` is of.
    digest: Digest,
    /// Why those that are there cannot be used.
    complaint: Option<ConfigError>,
    /// Whether it was said that the certificate runs out.
    warned: bool,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the setting and what to do: a file is missing, or holds nothing of
    /// use; the key is another certificate's; the certificate is not good at this time.
    pub fn open(files: TlsFiles, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let contents = files.read()?;
        let current = contents.load(&files, &clock)?;
        warn_of_readers(&files);
        let seen = Seen { digest: contents.digest(), complaint: None, warned: false };
        let (current, seen) = (Mutex::new(current), Mutex::new(seen));
        let tls = Self(Arc::new(Shared { files, clock, current, seen }));
        tls.warn_of_end(&mut lock(&tls.0.seen));
        Ok(tls)
    }

    /// [`Self::open`], if a server has files of TLS.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn given(
        files: Option<TlsFiles>,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, ConfigError> {
        files.map(|files| Self::open(files, clock)).transpose()
    }

    /// Reads the files again, and goes by them from now on if they are others: whether they are.
    /// Otherwise, and if they cannot be used, what was read before stays.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; it is logged too.
    pub fn reload(&self) -> Result<bool, ConfigError> {
        self.read_again(true)
    }

    /// Until when the certificate is good.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        lock(&self.0.current).not_after
    }

    /// Tells until when the certificate of a server is good, whenever it is asked for; of a server
    /// without one too, so that the same rules fit all.
    ///
    /// # Panics
    ///
    /// If `metrics` has it already.
    pub fn measure(tls: Option<&Self>, metrics: &Metrics) {
        let tls = tls.cloned();
        let help = "Until when the certificate is good, in seconds since 1970; 0 without TLS";
        metrics.reading("certificate_expiry_timestamp_seconds", help, &[], move || {
            tls.as_ref().map_or(0.0, |tls| tls.not_after().unix_seconds() as f64)
        });
    }

    /// The connections of `incoming`, each once its client has been told who this is, and has said who
    /// it is, if that is asked.
    pub fn accept<S, C>(&self, incoming: S) -> Handshakes<S, C>
    where
        S: Stream<Item = io::Result<C>>,
        C: 'static,
    {
        Handshakes::new(incoming, self.clone())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config())
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&lock(&self.0.current).config)
    }

    /// A complaint that stays the same is logged once, unless somebody asked.
    fn read_again(&self, asked: bool) -> Result<bool, ConfigError> {
        let Shared { files, clock, current, seen } = &*self.0;
        let mut seen = lock(seen);
        let read = files.read().and_then(|contents| {
            if contents.digest().as_ref() == seen.digest.as_ref() {
                return Ok(None);
            }
            Contents::load(&contents, files, clock).map(|loaded| Some((contents.digest(), loaded)))
        });
        let changed = match read {
            Ok(Some((digest, loaded))) => {
                tracing::info!(good_until = %shown(loaded.not_after), "the certificate was replaced");
                *lock(current) = loaded;
                *seen = Seen { digest, complaint: None, warned: false };
                warn_of_readers(files);
                true
            }
            Ok(None) => {
                seen.complaint = None;
                false
            }
            Err(error) => {
                if asked || seen.complaint.as_ref() != Some(&error) {
                    tracing::error!(%error, "the former certificate stays: the files cannot be used");
                }
                seen.complaint = Some(error.clone());
                self.warn_of_end(&mut seen);
                return Err(error);
            }
        };
        self.warn_of_end(&mut seen);
        Ok(changed)
    }

    fn warn_of_end(&self, seen: &mut Seen) {
        let not_after = self.not_after();
        let left = not_after.saturating_since(self.0.clock.now());
        if left < SOON && !seen.warned {
            seen.warned = true;
            tracing::warn!(good_until = %shown(not_after), "--tls-cert: the certificate runs out; renew it");
        }
    }
}

/// Looks at the files of `tls` at every `interval`, for as long as it is polled. It reads them rather
/// than when they were written: that is exact, whoever replaces them and however, and they are small.
pub async fn keep_current(tls: Option<&Tls>, interval: Duration) {
    let Some(tls) = tls else { return std::future::pending().await };
    loop {
        sleep(interval).await;
        let tls = tls.clone();
        // A disk that hangs must not keep others from running. What is wrong has been logged.
        let _ = tokio::task::spawn_blocking(move || tls.read_again(false)).await;
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.0.files).finish_non_exhaustive()
    }
}

fn warn_of_readers(files: &TlsFiles) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = files.key();
    let mode = path.metadata().map_or(0, |file| file.permissions().mode() & 0o777);
    if mode & 0o007 != 0 {
        let (path, mode) = (path.display(), format!("{mode:04o}"));
        tracing::warn!(%path, mode, "--tls-key: others may read the key; chmod 600, and replace it");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long before its end a certificate had better be renewed.
pub(crate) const SOON: Duration = Duration::from_secs(14 * 86_400);
/// How often a server looks at the files of its certificate.
pub const LOOK_AT_CERTIFICATE: Duration = Duration::from_secs(10);
