//! Plain HTTP, from accepted connections to a drained shutdown.
//!
//! Whoever connects may send half a request, or not read what is answered. So there are only so many
//! connections, each has only so long, and none can keep the server from ending.

use std::{io, pin::pin, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_stream::{Stream, StreamExt as _};

/// Serves `routes` on `incoming`, over HTTP/1 and HTTP/2, until the sender of `stopped` is gone; then
/// lets the requests under way end, but for no longer than `GRACE`.
pub async fn serve<C>(
    incoming: impl Stream<Item = io::Result<C>>,
    routes: Router,
    mut stopped: watch::Receiver<()>,
) where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut open = JoinSet::new();
    {
        // Gone with the loop, so that from then on nobody can connect.
        let mut incoming = pin!(incoming);
        let told = stopped.clone();
        let mut stopped = pin!(stopped.changed());
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut stopped => break,
                Some(_) = open.join_next() => continue,
                accepted = incoming.next(), if open.len() < MOST_CONNECTIONS => accepted,
            };
            match accepted {
                Some(Ok(io)) => {
                    open.spawn(connection(io, routes.clone(), told.clone()));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "a connection for operations was not accepted");
                    // It may be that descriptors ran out, and trying at once would keep a processor
                    // busy until there are some.
                    sleep(PAUSE).await;
                }
                None => break,
            }
        }
    }
    // Each connection ends by itself within its grace.
    while open.join_next().await.is_some() {}
}

/// One connection, until it ends or its time does.
async fn connection<C>(io: C, routes: Router, mut stopped: watch::Receiver<()>)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).max_buf_size(MOST_HEADERS);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MOST_STREAMS);
    let serving = builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(routes));
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => Ok(ended),
        _ = timeout(LIFE, stopped.changed()) => {
            serving.as_mut().graceful_shutdown();
            timeout(GRACE, serving).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for operations failed"),
        Err(_) => tracing::debug!("a connection for operations was cut"),
    }
}

/// More wait until one of them ends.
const MOST_CONNECTIONS: usize = 128;
/// Of one connection at a time.
const MOST_STREAMS: u32 = 32;
/// Bytes of a request's head.
const MOST_HEADERS: usize = 16 * 1024;
/// Long enough to be of use for many requests; a client that is told to go comes back.
const LIFE: Duration = Duration::from_secs(60);
/// Longer than any answer takes.
const GRACE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
