//! TLS on both sides of a connection: a server's, whose certificate is renewed while it serves, and a
//! client's.
//!
//! A server reads its files by [`TlsFiles`], keeps them in [`Tls`], and has the connections that it
//! accepts come [through it](Tls::accept). What tonic's own server does with a certificate is too little
//! here: it keeps it until the process ends, bounds neither handshakes nor their time, and takes the
//! provider of ciphers and the time of day from the process.
//!
//! Versions 1.3 and 1.2 are spoken, over HTTP/2 alone, by aws-lc-rs.

mod certificate;
mod client;
mod distrust;
mod files;
mod handshakes;
mod pem;
mod probe;
mod server;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use self::{
    certificate::Certificate,
    client::ClientFiles,
    distrust::Distrust,
    files::{ClientAuth, TlsFiles},
    handshakes::Handshakes,
    server::{LOOK_AT_CERTIFICATE, Tls, keep_current},
};
pub(crate) use self::{pem::shown, probe::presents, server::SOON};

/// Given by name wherever one is needed: that of the process belongs to whoever embeds this.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// HTTP/2, as it is named in a handshake (RFC 9113 section 3.2).
const HTTP2: &[u8] = b"h2";

#[cfg(test)]
mod tests;
