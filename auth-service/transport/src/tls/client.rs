//! A client's TLS, while it runs.

use std::{fmt, path::PathBuf, sync::Arc};

use token::clock::{Clock, Timestamp};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        sign::SingleCertAndKey,
        version::{TLS12, TLS13},
    },
};
use tonic::transport::{Channel, Endpoint};

use super::{
    ClientFiles, HTTP2, Renewed,
    connector::Connector,
    current::{Contents, Current, Files},
    files::Time,
    pem::Named,
    provider,
};
use crate::{config::ConfigError, metrics::Metrics};

/// What a client's handshakes go by. It is replaced when its files are: whom it trusts, and what it
/// shows. A connection keeps what it began with, and so do the calls on it. Clones are the same one.
///
/// For a client that ends soon there is [`ClientFiles::secure`].
#[derive(Clone)]
pub struct ClientTls(Current<Kept>);

impl ClientTls {
    /// Reads the files, and, if they name no CA, those that the machine trusts, which are kept for as
    /// long as this is.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the setting and what to do: a file is missing, or holds nothing of
    /// use; the key is another certificate's; the certificate is not good at this time; no CA is
    /// trusted.
    pub fn open(files: ClientFiles<'_>, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        files.validate(true)?;
        Current::open(Kept::of(files)?, clock).map(Self)
    }

    /// A channel to the server of `endpoint`, which connects when it is first used, and each time by
    /// what is in force then. Its URL is `https`; what it says of TLS itself does not count.
    #[must_use]
    pub fn connect_lazy(&self, endpoint: Endpoint) -> Channel {
        Channel::new(Connector::new(self.clone(), &endpoint), endpoint)
    }

    /// Until when the client's own certificate is good, if it has one.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        self.0.loaded().not_after
    }

    /// Tells until when the certificate of a client is good, whenever it is asked for; of a client
    /// without one too, so that the same rules fit all.
    ///
    /// # Panics
    ///
    /// If `metrics` has it already.
    pub fn measure(tls: Option<&Self>, metrics: &Metrics) {
        let tls = tls.cloned();
        let help = "Until when the certificate that is shown to other services is good, in seconds \
                    since 1970; 0 if none is";
        metrics.reading("client_certificate_expiry_timestamp_seconds", help, &[], move || {
            let not_after = tls.as_ref().and_then(Self::not_after);
            not_after.map_or(0.0, |not_after| not_after.unix_seconds() as f64)
        });
    }

    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.0.loaded().config)
    }
}

impl Renewed for ClientTls {
    fn read_again(&self, asked: bool) -> Result<bool, ConfigError> {
        self.0.read_again(asked)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientTls").field(&self.0).finish()
    }
}

/// [`ClientFiles`] that stay.
#[derive(Debug)]
struct Kept {
    ca: (&'static str, Option<PathBuf>),
    certificate: (&'static str, Option<PathBuf>),
    key: (&'static str, Option<PathBuf>),
    /// Those that the machine trusts, if no others are named.
    machine: Arc<RootCertStore>,
}

/// What handshakes go by.
#[derive(Clone)]
struct Loaded {
    /// As a whole, and with it what it knows of the servers' sessions: one that is resumed would be of
    /// the certificate that it began with.
    config: Arc<ClientConfig>,
    not_after: Option<Timestamp>,
}

impl Kept {
    fn of(files: ClientFiles<'_>) -> Result<Self, ConfigError> {
        let kept = |(setting, path): (_, Option<&std::path::Path>)| (setting, path.map(Into::into));
        let machine = match files.ca {
            (_, Some(_)) => RootCertStore::empty(),
            (setting, None) => of_machine(setting)?,
        };
        Ok(Self {
            ca: kept(files.ca),
            certificate: kept(files.certificate),
            key: kept(files.key),
            machine: Arc::new(machine),
        })
    }

    fn files(&self) -> ClientFiles<'_> {
        let Self { ca, certificate, key, .. } = self;
        let [ca, certificate, key] =
            [ca, certificate, key].map(|(setting, path)| (*setting, path.as_deref()));
        ClientFiles { ca, certificate, key }
    }
}

impl Files for Kept {
    type Loaded = Loaded;

    fn read(&self) -> Result<Contents, ConfigError> {
        let files = self.files();
        Contents::read(files.identity(), files.trusted())
    }

    fn load(&self, read: &Contents, clock: &Arc<dyn Clock>) -> Result<Loaded, ConfigError> {
        let files = self.files();
        let roots = match (files.trusted(), &read.ca) {
            (Some(named), Some(pem)) => Arc::new(named.authorities(pem)?),
            _ => Arc::clone(&self.machine),
        };
        let time = Arc::new(Time(Arc::clone(clock)));
        let builder = ClientConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has ciphers for both versions")
            .with_root_certificates(roots);
        let (mut config, not_after) = match (files.identity(), &read.identity) {
            (Some((certificate, key)), Some((chain, private))) => {
                let chain = certificate.certificates(chain)?;
                let not_after = certificate.judged(&chain, clock.now())?;
                let identity = SingleCertAndKey::from(key.key_of(private, certificate, chain)?);
                (builder.with_client_cert_resolver(Arc::new(identity)), Some(not_after))
            }
            _ => (builder.with_no_client_auth(), None),
        };
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(Loaded { config: Arc::new(config), not_after })
    }

    fn setting(&self) -> &'static str {
        self.files().identity().map_or(self.ca.0, |(certificate, _)| certificate.setting)
    }

    fn identity(&self) -> Option<(Named<'_>, Named<'_>)> {
        self.files().identity()
    }

    fn not_after(loaded: &Loaded) -> Option<Timestamp> {
        loaded.not_after
    }
}

/// Those that the machine trusts.
fn of_machine(setting: &'static str) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    // Some that cannot be read are no reason to do without the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let mend = "this machine trusts no CA; name the CA of the server, or install those that \
                    machines trust (ca-certificates)";
        return Err(ConfigError::new(setting, mend));
    }
    Ok(roots)
}
