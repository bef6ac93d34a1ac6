//! TLS on both sides of a connection: a server's and a client's, whose certificates are renewed while
//! they run.
//!
//! A server reads its files by [`TlsFiles`], keeps them in [`Tls`], and has the connections that it
//! accepts come [through it](Tls::accept). A client reads them by [`ClientFiles`], keeps them in
//! [`ClientTls`], and connects [by it](ClientTls::connect_lazy). What tonic itself does with a
//! certificate is too little here: it keeps it until the process ends, takes the provider of ciphers and
//! the time of day from the process, and as a server bounds neither handshakes nor their time.
//!
//! Versions 1.3 and 1.2 are spoken, over HTTP/2 alone, by aws-lc-rs.

mod certificate;
mod client;
mod client_files;
mod connector;
mod current;
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
    client::ClientTls,
    client_files::ClientFiles,
    current::{LOOK_AT_CERTIFICATE, Renewed, keep_current},
    distrust::Distrust,
    files::{ClientAuth, TlsFiles},
    handshakes::Handshakes,
    server::Tls,
};
pub(crate) use self::{current::SOON, pem::shown, probe::presents};

/// Given by name wherever one is needed: that of the process belongs to whoever embeds this.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// HTTP/2, as it is named in a handshake (RFC 9113 section 3.2).
const HTTP2: &[u8] = b"h2";

#[cfg(test)]
mod tests;
