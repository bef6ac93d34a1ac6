//! A server's certificate, while it serves.

use std::{fmt, io, sync::Arc};

use token::clock::{Clock, Timestamp};
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use super::{Handshakes, Renewed, TlsFiles, current::Current};
use crate::{config::ConfigError, metrics::Metrics};

/// What a server's handshakes go by. It is replaced when its files are, and calls under way do not
/// notice: a connection keeps what it began with. Clones are the same one.
#[derive(Clone)]
pub struct Tls(Current<TlsFiles>);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the setting and what to do: a file is missing, or holds nothing of
    /// use; the key is another certificate's; the certificate is not good at this time.
    pub fn open(files: TlsFiles, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        Current::open(files, clock).map(Self)
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

    /// Until when the certificate is good.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.0.loaded().not_after
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
        TlsAcceptor::from(self.0.loaded().config)
    }
}

impl Renewed for Tls {
    fn read_again(&self, asked: bool) -> Result<bool, ConfigError> {
        self.0.read_again(asked)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0).finish()
    }
}
