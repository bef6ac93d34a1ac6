//! The files of a server's TLS.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::ValueEnum;
use token::clock::{Clock, Timestamp};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{CertificateDer, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};

use super::{
    HTTP2,
    current::{Contents, Files},
    pem::Named,
    provider,
};
use crate::config::ConfigError;

/// Whether clients show a certificate, where some are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(clippy::exhaustive_enums, reason = "a client must show one, or may")]
pub enum ClientAuth {
    /// Those that show none are served too.
    Optional,
    /// Nobody is served without one.
    #[default]
    Required,
}

/// Where a server's certificate, its key, and the CAs of its clients are, all in PEM. The settings that
/// name them are the same for both services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<Clients>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Clients {
    ca: PathBuf,
    auth: ClientAuth,
}

/// What handshakes go by.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    pub(super) not_after: Timestamp,
}

impl TlsFiles {
    /// The files of these settings; `None` if none of them is set.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: one of them is missed by the others. The files are not looked at.
    pub fn given(
        certificate: Option<&Path>,
        key: Option<&Path>,
        client_ca: Option<&Path>,
        auth: ClientAuth,
    ) -> Result<Option<Self>, ConfigError> {
        let (certificate, key) = match (certificate, key) {
            (Some(certificate), Some(key)) => (certificate.to_owned(), key.to_owned()),
            (Some(_), None) => {
                let mend = "must be given with --tls-cert: the file of the certificate's key";
                return Err(ConfigError::new(KEY, mend));
            }
            (None, Some(_)) => {
                let mend = "must be given with --tls-key: the file of the key's certificate";
                return Err(ConfigError::new(CERTIFICATE, mend));
            }
            (None, None) if client_ca.is_some() => {
                let mend = "needs --tls-cert and --tls-key: without TLS no client shows anything";
                return Err(ConfigError::new(CLIENT_CA, mend));
            }
            (None, None) => return Ok(None),
        };
        let clients = client_ca.map(|ca| Clients { ca: ca.to_owned(), auth });
        Ok(Some(Self { certificate, key, clients }))
    }

    /// Whether a client may show a certificate.
    #[must_use]
    pub const fn asks_clients(&self) -> bool {
        self.clients.is_some()
    }

    /// The file of the key, which is nobody else's.
    #[must_use]
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// Until when the certificate is good.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a server cannot use the files, and why.
    pub fn good_until(&self, now: Timestamp) -> Result<Timestamp, ConfigError> {
        Ok(self.parse(&self.read()?, now)?.not_after)
    }

    /// The certificate itself, without those that lead to its CA.
    pub(crate) fn own(&self) -> Result<CertificateDer<'static>, ConfigError> {
        let named = self.named_certificate();
        let mut all = named.certificates(&named.read()?)?;
        Ok(all.swap_remove(0))
    }

    fn parse(&self, read: &Contents, now: Timestamp) -> Result<Parsed, ConfigError> {
        let (certificate, key) = (self.named_certificate(), self.named_key());
        let (chain, private) = read.identity.as_ref().expect("a server's are read");
        let chain = certificate.certificates(chain)?;
        let not_after = certificate.judged(&chain, now)?;
        let identity = key.key_of(private, certificate, chain)?;
        let judge = match (&read.ca, self.named_ca(), &self.clients) {
            (Some(pem), Some(named), Some(clients)) => Some(judge(pem, named, clients.auth)?),
            _ => None,
        };
        Ok(Parsed { identity, judge, not_after })
    }

    fn named_certificate(&self) -> Named<'_> {
        Named { setting: CERTIFICATE, path: &self.certificate }
    }

    fn named_key(&self) -> Named<'_> {
        Named { setting: KEY, path: &self.key }
    }

    fn named_ca(&self) -> Option<Named<'_>> {
        self.clients.as_ref().map(|clients| Named { setting: CLIENT_CA, path: &clients.ca })
    }
}

impl Files for TlsFiles {
    type Loaded = Loaded;

    fn read(&self) -> Result<Contents, ConfigError> {
        Contents::read(self.identity(), self.named_ca())
    }

    fn load(&self, read: &Contents, clock: &Arc<dyn Clock>) -> Result<Loaded, ConfigError> {
        let Parsed { identity, judge, not_after } = self.parse(read, clock.now())?;
        let time = Arc::new(Time(Arc::clone(clock)));
        let builder = ServerConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has ciphers for both versions");
        let asks = judge.is_some();
        let builder = match judge {
            Some(judge) => builder.with_client_cert_verifier(judge),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = vec![HTTP2.to_vec()];
        if asks {
            // A resumed session would bring along a certificate that nobody judges again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Loaded { config: Arc::new(config), not_after })
    }

    fn setting(&self) -> &'static str {
        CERTIFICATE
    }

    fn identity(&self) -> Option<(Named<'_>, Named<'_>)> {
        Some((self.named_certificate(), self.named_key()))
    }

    fn not_after(loaded: &Loaded) -> Option<Timestamp> {
        Some(loaded.not_after)
    }
}

/// What the files hold.
struct Parsed {
    identity: CertifiedKey,
    judge: Option<Arc<dyn ClientCertVerifier>>,
    not_after: Timestamp,
}

/// Judges the certificates of clients.
fn judge(
    pem: &[u8],
    named: Named<'_>,
    auth: ClientAuth,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let roots = Arc::new(named.authorities(pem)?);
    let judge = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let judge = match auth {
        ClientAuth::Optional => judge.allow_unauthenticated(),
        ClientAuth::Required => judge,
    };
    judge.build().map_err(|error| named.wrong(&error.to_string()))
}

/// The process's clock, by which the other side's certificates are judged too.
#[derive(Debug)]
pub(super) struct Time(pub(super) Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

const CERTIFICATE: &str = "--tls-cert";
const KEY: &str = "--tls-key";
const CLIENT_CA: &str = "--tls-client-ca";
