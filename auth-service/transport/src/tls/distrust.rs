//! Why two sides did not come to terms.

use std::{error::Error, io};

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError};

/// What kept a client from connecting over TLS, as far as somebody can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distrust {
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is not good yet: a clock is wrong.
    NotYetGood,
    /// What answers speaks no TLS.
    Plaintext,
    /// The server would not have this client: it showed no certificate, or one of a CA that the server
    /// does not trust, or one that has expired.
    Refused,
    /// The server's certificate is of a CA that is not trusted here.
    Untrusted,
    /// The server's certificate is for other names.
    WrongName,
}

impl Distrust {
    /// The first such cause of `error`.
    #[must_use]
    pub fn cause_of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let tls = inner.and_then(|inner| inner.downcast_ref::<TlsError>());
            if let Some(found) = tls.or_else(|| error.downcast_ref()).and_then(Self::of) {
                return Some(found);
            }
            // HTTP/2 keeps no more than the text of what its connection failed of.
            if error.to_string().rsplit_once(ALERT).is_some_and(|(_, alert)| is_refusal(alert)) {
                return Some(Self::Refused);
            }
            next = error.source();
        }
        None
    }

    fn of(error: &TlsError) -> Option<Self> {
        match error {
            TlsError::InvalidCertificate(why) => Some(match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetGood
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
                _ => Self::Untrusted,
            }),
            TlsError::InvalidMessage(_) => Some(Self::Plaintext),
            TlsError::AlertReceived(alert) if REFUSALS.contains(alert) => Some(Self::Refused),
            _ => None,
        }
    }
}

/// Whether an alert of this name is one by which a server refuses its client.
fn is_refusal(name: &str) -> bool {
    REFUSALS.iter().any(|alert| format!("{alert:?}") == name)
}

/// What comes before the name of an alert.
const ALERT: &str = "received fatal alert: ";
const REFUSALS: [AlertDescription; 11] = [
    AlertDescription::AccessDenied,
    AlertDescription::BadCertificate,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateRequired,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateUnknown,
    AlertDescription::DecryptError,
    AlertDescription::HandshakeFailure,
    AlertDescription::NoCertificate,
    AlertDescription::UnknownCA,
    AlertDescription::UnsupportedCertificate,
];
