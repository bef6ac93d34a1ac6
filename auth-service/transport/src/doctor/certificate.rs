//! Certificates.

use token::clock::Timestamp;

use super::{Check, given_secret};
use crate::{
    config::ConfigError,
    tls::{ClientFiles, SOON, TlsFiles, shown},
};

/// Whether a server can use the files of its TLS, for how long, and whether it alone can.
#[must_use]
pub fn certificate(files: &TlsFiles, now: Timestamp) -> Vec<Check> {
    let check = judged("certificate", files.good_until(now), now);
    vec![check, given_secret("certificate key", "--tls-key", files.key())]
}

/// The same of a client, if it has a certificate.
#[must_use]
pub fn client_certificate(files: ClientFiles<'_>, now: Timestamp) -> Vec<Check> {
    let (setting, Some(key)) = files.key else { return Vec::new() };
    let check = match files.good_until(now) {
        Ok(None) => return Vec::new(),
        Ok(Some(end)) => judged("client certificate", Ok(end), now),
        Err(error) => judged("client certificate", Err(error), now),
    };
    vec![check, given_secret("client key", setting, key)]
}

fn judged(name: &'static str, good_until: Result<Timestamp, ConfigError>, now: Timestamp) -> Check {
    match good_until {
        Ok(end) => {
            let found = format!("it is good until {}", shown(end));
            if end.saturating_since(now) < SOON {
                Check::warn(name, found, "renew it")
            } else {
                Check::ok(name, found)
            }
        }
        Err(error) => Check::fail(name, error.setting, error.mend),
    }
}
