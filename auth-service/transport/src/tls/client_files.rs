//! The files of a client's TLS.

use std::path::Path;

use token::clock::Timestamp;
use tonic::transport::{Certificate as Pem, ClientTlsConfig, Endpoint, Identity};

use super::{connector::PATIENCE, pem::Named};
use crate::config::ConfigError;

/// Whom a client trusts, and who it is: files in PEM, each with the setting that names it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a client has these files and no others")]
pub struct ClientFiles<'a> {
    /// The CAs whose servers are trusted, instead of those that the machine trusts.
    pub ca: (&'static str, Option<&'a Path>),
    /// The certificate that is shown to servers which ask for one.
    pub certificate: (&'static str, Option<&'a Path>),
    /// Its key.
    pub key: (&'static str, Option<&'a Path>),
}

impl<'a> ClientFiles<'a> {
    /// Whether the settings go together, with each other and with a URL of this scheme. The files are
    /// not looked at.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], for the first that does not.
    pub fn validate(&self, is_https: bool) -> Result<(), ConfigError> {
        let Self { ca, certificate, key } = self;
        let (lacking, given) = match (certificate.1, key.1) {
            (Some(_), None) => (key, certificate),
            (None, Some(_)) => (certificate, key),
            _ => {
                let set = [ca, certificate].into_iter().find(|(_, path)| path.is_some());
                return match set.filter(|_| !is_https) {
                    Some((setting, _)) => Err(ConfigError::new(
                        setting,
                        "is of no use for an http:// URL, which is plaintext; use https://",
                    )),
                    None => Ok(()),
                };
            }
        };
        Err(ConfigError::new(lacking.0, format!("must be given with {}", given.0)))
    }

    /// `endpoint`, over TLS by these files, as they are now, if its URL is `https`.
    ///
    /// For a client that goes on when its certificate has expired there is [`ClientTls`].
    ///
    /// [`ClientTls`]: super::ClientTls
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if they cannot be used, or the machine trusts no CA and none is named.
    pub fn secure(&self, endpoint: Endpoint) -> Result<Endpoint, ConfigError> {
        let is_https = endpoint.uri().scheme_str() == Some("https");
        self.validate(is_https)?;
        if !is_https {
            return Ok(endpoint);
        }
        let mut tls = ClientTlsConfig::new().timeout(PATIENCE);
        tls = match self.trusted() {
            Some(named) => {
                let pem = named.read()?;
                named.authorities(&pem)?;
                tls.ca_certificate(Pem::from_pem(&*pem))
            }
            None => tls.with_enabled_roots(),
        };
        if let Some((certificate, key)) = self.identity() {
            let (chain, private) = (certificate.read()?, key.read()?);
            key.key_of(&private, certificate, certificate.certificates(&chain)?)?;
            tls = tls.identity(Identity::from_pem(&*chain, &*private));
        }
        endpoint.tls_config(tls).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| error.to_string());
            let mend = "name the CA of the server, or install those that machines trust \
                        (ca-certificates)";
            ConfigError::new(self.ca.0, format!("{cause}; {mend}"))
        })
    }

    /// Until when the client's own certificate is good, if it has one.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if it is not at `now`, or cannot be read.
    pub fn good_until(&self, now: Timestamp) -> Result<Option<Timestamp>, ConfigError> {
        let Some((certificate, _)) = self.identity() else { return Ok(None) };
        let chain = certificate.certificates(&certificate.read()?)?;
        Ok(Some(certificate.judged(&chain, now)?))
    }

    /// The file of the CAs, if one is named.
    pub(super) fn trusted(&self) -> Option<Named<'a>> {
        self.ca.1.map(|path| Named { setting: self.ca.0, path })
    }

    /// The files of the certificate and of its key, if there is one.
    pub(super) fn identity(&self) -> Option<(Named<'a>, Named<'a>)> {
        let named =
            |(setting, path): (&'static str, Option<_>)| Some(Named { setting, path: path? });
        named(self.certificate).zip(named(self.key))
    }
}
