//! Certificates and keys in PEM, and what is wrong with a file that holds none.

use std::{fmt, fs, path::Path};

use token::clock::Timestamp;
use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject as _},
    },
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{Certificate, provider};
use crate::config::ConfigError;

/// A file, and the setting that names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub(super) setting: &'static str,
    pub(super) path: &'a Path,
}

impl Named<'_> {
    pub(super) fn read(self) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
        fs::read(self.path).map(Zeroizing::new).map_err(|error| {
            self.wrong(&format!("{error}; check that the file is there and this user may read it"))
        })
    }

    pub(super) fn wrong(self, what: &str) -> ConfigError {
        ConfigError::new(self.setting, format!("{}: {what}", self.path.display()))
    }

    /// All certificates of `pem`, of which there is one at least.
    pub(super) fn certificates(
        self,
        pem: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let all: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
        let all = all.map_err(|error| self.wrong(&format!("it is damaged: {error}")))?;
        if all.is_empty() {
            return Err(self.wrong(
                "it holds no certificate; it must be PEM, with a line -----BEGIN CERTIFICATE-----",
            ));
        }
        Ok(all)
    }

    /// Those whose signatures are trusted.
    pub(super) fn authorities(self, pem: &[u8]) -> Result<RootCertStore, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(pem)? {
            roots.add(certificate).map_err(|error| {
                self.wrong(&format!("it holds a certificate that is no CA's: {error}"))
            })?;
        }
        Ok(roots)
    }

    /// The key in `pem` with its certificates, which `of` holds.
    pub(super) fn key_of(
        self,
        pem: &[u8],
        of: Named<'_>,
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<CertifiedKey, ConfigError> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
            PemError::NoItemsFound => self.wrong(
                "it holds no private key; it must be PEM, with a line -----BEGIN PRIVATE KEY----- \
                 (an encrypted one cannot be read: decrypt it by `openssl pkey`)",
            ),
            // Not what the file says there: that may be a part of the key.
            _ => self.wrong("it is damaged"),
        })?;
        CertifiedKey::from_der(certificates, key, &provider()).map_err(|error| {
            self.wrong(&format!(
                "it does not fit the certificate in {}: {error}; name the key that it was made for",
                of.path.display()
            ))
        })
    }

    /// Until when the first of `certificates` is good, if it is at `now`.
    pub(super) fn judged(
        self,
        certificates: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<Timestamp, ConfigError> {
        let first = certificates.first().and_then(|first| Certificate::parse(first));
        let first = first.ok_or_else(|| self.wrong("its certificate cannot be read"))?;
        if now >= first.not_after {
            let mend = format!("the certificate expired at {}; renew it", shown(first.not_after));
            return Err(self.wrong(&mend));
        }
        if now < first.not_before {
            let mend = format!(
                "the certificate is good only from {} on; set the clock, or wait",
                shown(first.not_before)
            );
            return Err(self.wrong(&mend));
        }
        Ok(first.not_after)
    }
}

/// An instant, for people.
pub(crate) fn shown(at: Timestamp) -> impl fmt::Display {
    humantime::format_rfc3339_seconds(at.into())
}
