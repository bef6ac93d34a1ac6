//! An HTTP/2 reverse proxy that can be too busy to pass a request on.

use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    transport::{Channel, Endpoint, Server},
};
use transport::serve::connections;

use super::Failure;

/// Passes requests on to a server, but for those that it is told to refuse: these it answers itself,
/// with the bare 503 of a load balancer.
#[derive(Debug)]
pub struct BusyFront {
    /// Where it listens.
    pub address: SocketAddr,
    to_refuse: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl BusyFront {
    /// A front of the server at `url`, on a free port.
    ///
    /// # Errors
    ///
    /// If `url` is none, or no port can be had.
    pub async fn start(url: String) -> Result<Self, Failure> {
        let server = Endpoint::from_shared(url)?.connect_lazy();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let to_refuse = Arc::new(AtomicUsize::new(0));
        let passing = Passing { server, to_refuse: Arc::clone(&to_refuse) };
        let incoming = connections(listener);
        let task = tokio::spawn(async {
            // It ends when it is aborted.
            let _ = Server::builder().serve_with_incoming(passing, incoming).await;
        });
        Ok(Self { address, to_refuse, task })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses the next `requests` requests.
    pub fn refuse(&self, requests: usize) {
        self.to_refuse.store(requests, Ordering::SeqCst);
    }

    /// How many of those have not come yet.
    #[must_use]
    pub fn left_to_refuse(&self) -> usize {
        self.to_refuse.load(Ordering::SeqCst)
    }
}

impl Drop for BusyFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Passing {
    server: Channel,
    to_refuse: Arc<AtomicUsize>,
}

impl fmt::Debug for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passing").field("to_refuse", &self.to_refuse).finish_non_exhaustive()
    }
}

impl Service<http::Request<Body>> for Passing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let refused = self
            .to_refuse
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let mut server = self.server.clone();
        Box::pin(async move {
            if refused.is_ok() {
                let mut answer = http::Response::new(Body::empty());
                *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                return Ok(answer);
            }
            // The readiness is that of this clone.
            let sent = match std::future::poll_fn(|cx| server.poll_ready(cx)).await {
                Ok(()) => server.call(request).await,
                Err(error) => Err(error),
            };
            Ok(sent.unwrap_or_else(|error| Status::unavailable(error.to_string()).into_http()))
        })
    }
}
