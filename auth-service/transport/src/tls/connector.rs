//! Connections of a client, each by what is in force when it begins.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{client::TlsStream, rustls::pki_types::ServerName};
use tonic::{ConnectError, transport::Endpoint};
use tower_service::Service;

use super::{ClientTls, HTTP2};

/// Connects to a server over TCP, and shakes hands with it.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    tls: ClientTls,
}

impl Connector {
    /// One that reaches the server as `endpoint` says.
    pub(super) fn new(tls: ClientTls, endpoint: &Endpoint) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(endpoint.get_tcp_nodelay());
        tcp.set_keepalive(endpoint.get_tcp_keepalive());
        tcp.set_connect_timeout(endpoint.get_connect_timeout());
        Self { tcp, tls }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.tcp.poll_ready(cx).map_err(|error| ConnectError(error.into()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, tls) = (self.tcp.call(uri.clone()), self.tls.clone());
        Box::pin(async move {
            let tcp = connecting.await.map_err(|error| ConnectError(error.into()))?;
            let shaken = timeout(PATIENCE, shake(&tls, &uri, tcp.into_inner())).await;
            let shaken = shaken.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the server does not shake hands"))
            });
            shaken.map(TokioIo::new).map_err(|error| ConnectError(error.into()))
        })
    }
}

async fn shake(tls: &ClientTls, uri: &Uri, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    // An IPv6 address is in brackets there.
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    // Taken when the TCP connection is there: it may have taken a while.
    let stream = tls.connector().connect(name, tcp).await?;
    if stream.get_ref().1.alpn_protocol() != Some(HTTP2) {
        return Err(io::Error::other("the server does not speak HTTP/2"));
    }
    Ok(stream)
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// For a handshake.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
