//! A gRPC server with health and reflection, from bound port to drained shutdown.

use std::{io, net::SocketAddr, num::NonZeroUsize, pin::pin, sync::Arc, time::Duration};

use token::clock::Clock;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{
    body::Body,
    service::Routes,
    transport::{
        Server,
        server::{Connected, TcpIncoming},
    },
};
use tower::util::MapResponseLayer;
use trace_context::TraceIds;

use crate::{
    config::ConfigError,
    deadline::DeadlineLayer,
    drain::Drain,
    health::health,
    methods::methods,
    observe::{ObserveLayer, Observer},
    overload::{Admission, AdmissionLayer},
    oversize,
    severed::Severed,
};

/// Why a server could not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port is taken, the address is not this machine's, or it may not be used.
    #[error("{setting}: cannot listen on {address}: {source}; {mend}")]
    Bind {
        /// The setting that named the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What to do about it.
        mend: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Plaintext would leave the machine.
    #[error(transparent)]
    Insecure(ConfigError),
    /// Calls were still under way when their time to end was over, and have been cut.
    #[error("calls were still under way when the time to end was over; they were cut")]
    Cut,
    /// The descriptors for reflection cannot be read.
    #[error("the reflection service could not be built")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// A file of TLS cannot be used.
    #[error(transparent)]
    Tls(ConfigError),
    /// The transport failed.
    #[error("the server stopped")]
    Transport(#[source] tonic::transport::Error),
}

/// Whether plaintext stays on this machine, or may leave it.
///
/// # Errors
///
/// [`ConfigError`]: `address`, which `setting` names, can be reached from others.
pub fn protected(
    setting: &'static str,
    address: SocketAddr,
    insecure: bool,
) -> Result<(), ConfigError> {
    if insecure || address.ip().is_loopback() {
        return Ok(());
    }
    Err(ConfigError::new(setting, format!("{address} {EXPOSED}; {PROTECT}")))
}

/// What is wrong with plaintext on such an address.
pub(crate) const EXPOSED: &str =
    "is reachable from other machines, and all that is said there would travel unencrypted";
/// How to mend that.
pub(crate) const PROTECT: &str =
    "listen on 127.0.0.1, serve TLS where that can be (--tls-cert), or allow it with --insecure";

/// A listener on `address`; port 0 picks a free one.
///
/// # Errors
///
/// [`ServeError::Bind`], [`ServeError::Insecure`].
pub async fn bind(
    setting: &'static str,
    address: SocketAddr,
    insecure: bool,
) -> Result<TcpListener, ServeError> {
    protected(setting, address, insecure).map_err(ServeError::Insecure)?;
    TcpListener::bind(address).await.map_err(|source| {
        let mend = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "stop the process that holds the port, or choose another one (0 picks a free one)"
            }
            io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
            io::ErrorKind::PermissionDenied => "choose a port above 1023",
            _ => "choose another address",
        };
        ServeError::Bind { setting, address, mend, source }
    })
}

/// All connections that `listener` accepts. Small frames leave at once.
#[must_use]
pub fn connections(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

/// How to serve.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The clock of request deadlines.
    pub clock: Arc<dyn Clock>,
    /// Hears of every RPC.
    pub observer: Arc<dyn Observer>,
    /// Makes the ids by which an RPC is found again.
    pub trace_ids: Arc<TraceIds>,
    /// No request lives longer.
    pub request_life: Duration,
    /// The paths of RPCs whose requests are streams, and which that does not hold for.
    pub uploads: &'static [&'static str],
    /// How many requests of ours may be under way at once; streams do not count.
    pub most_requests: NonZeroUsize,
    /// The paths of RPCs that do not count either, since they mostly wait for something that is limited
    /// by itself. They have places of their own.
    pub waiting: &'static [&'static str],
    /// How long calls may go on when it is told to stop.
    pub drain: Drain,
}

impl Serving {
    /// Serves `routes` on `incoming`, with reflection (v1 and v1alpha) and `grpc.health.v1` beside
    /// them, until `shutdown` resolves; then says NOT_SERVING, refuses new connections, tells the
    /// clients of the others to go elsewhere, and ends when the calls under way have ended, or their
    /// time is over.
    ///
    /// `services` are the full names whose health is reported.
    ///
    /// # Errors
    ///
    /// [`ServeError::Cut`], [`ServeError::Reflection`], [`ServeError::Transport`].
    pub async fn run<C>(
        self,
        incoming: impl Stream<Item = io::Result<C>>,
        routes: Routes,
        services: &[&str],
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError>
    where
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let (serves, health_service) = health(services);
        let reflection = || {
            let known = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(evergreen_proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // So that a tool can show the details of an error.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
            // The descriptors are of both services; what is listed is what answers here.
            let listed = services.iter().copied().chain(["grpc.health.v1.Health"]);
            listed.fold(known, tonic_reflection::server::Builder::with_service_name)
        };
        let routes = routes
            .add_service(health_service)
            .add_service(reflection().build_v1().map_err(ServeError::Reflection)?)
            .add_service(reflection().build_v1alpha().map_err(ServeError::Reflection)?);
        let (draining, mut begins) = watch::channel(());
        let left = async move {
            shutdown.await;
            drop((serves, draining));
        };
        let (cut, is_cut) = watch::channel(false);
        let incoming = incoming.map(|accepted| accepted.map(|io| Severed::by(io, is_cut.clone())));
        let known: Vec<_> = limited(services).collect();
        debug_assert!(
            self.waiting.iter().all(|path| known.iter().any(|known| known == path)),
            "each is in the contract: {:?}",
            self.waiting
        );
        let waiting = self.waiting.iter().map(|path| (*path).to_owned());
        let admission = AdmissionLayer::default()
            .limit(known, &Arc::new(Admission::new(self.most_requests)))
            .limit(waiting, &Arc::new(Admission::constant(MOST_WAITING)));
        let serving = Server::builder()
            .max_concurrent_streams(MOST_STREAMS)
            .http2_max_header_list_size(MOST_HEADER_BYTES)
            .http2_max_local_error_reset_streams(Some(MOST_ERRORS))
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .layer(ObserveLayer::new(self.observer, self.trace_ids))
            .layer(DeadlineLayer::new(self.clock, self.request_life).uploads(self.uploads))
            .layer(admission)
            .layer(MapResponseLayer::new(oversize::explain::<Body>))
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, left);
        let mut serving = pin!(serving);
        tokio::select! {
            biased;
            served = &mut serving => return served.map_err(ServeError::Transport),
            () = async {
                let _ = begins.changed().await;
                self.drain.over().await;
            } => {}
        }
        cut.send_replace(true);
        serving.await.map_err(ServeError::Transport)?;
        Err(ServeError::Cut)
    }
}

/// The paths of these services' RPCs that are no streams. Whether a server is well can be asked however
/// much it has to do.
fn limited(services: &[&str]) -> impl Iterator<Item = String> {
    let ours = methods(services).into_iter().filter(|(name, _)| !name.starts_with("grpc."));
    ours.filter(|(_, is_unary)| *is_unary).map(|(name, _)| format!("/{name}"))
}

/// How many requests may wait for something of their own: they take some memory, and little else.
const MOST_WAITING: NonZeroUsize = NonZeroUsize::new(1_024).expect("it is more than zero");
/// Keys, tokens and trace contexts take two or three.
const MOST_HEADER_BYTES: u32 = 64 * 1024;
/// How often a client that says nothing is asked whether it is still there, so that the connections of
/// those that went without a word are not kept.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many calls of one connection may be under way; a client keeps more waiting. Without a bound,
/// some thousands at once look like a flood to the HTTP/2 layer, which then cuts the connection and
/// every call on it.
const MOST_STREAMS: u32 = 1_000;
/// How many streams of one connection may end by an error of its client. What is reset is not under
/// way any more, so [`MOST_STREAMS`] does not bound it; and tonic, which is told nothing, says that
/// there is no bound at all. Streams that clients reset before they are begun are bounded by the
/// HTTP/2 layer itself.
const MOST_ERRORS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_but_the_streams_takes_a_place() {
        let services = ["evergreen.auth.v1.AuthService", "evergreen.api.v1.ApiService"];
        let limited: Vec<_> = limited(&services).collect();
        for path in
            ["/evergreen.auth.v1.AuthService/Refresh", "/evergreen.api.v1.ApiService/GetTree"]
        {
            assert!(limited.iter().any(|limited| limited == path), "{path}");
        }
        for other in ["WatchRevocations", "WatchChanges", "ImportTrees", "ExportTrees", "Check"] {
            assert!(!limited.iter().any(|limited| limited.ends_with(other)), "{other}");
        }
    }
}
