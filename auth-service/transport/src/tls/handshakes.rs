//! Connections on their way to being encrypted.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::Stream;

use super::Tls;

pin_project_lite::pin_project! {
    /// The connections of a listener whose handshakes succeeded, in the order in which they did.
    ///
    /// A handshake waits for its client alone: any number of others go on beside it, and accepting goes
    /// on in any case. One that takes too long is cut; and if too many are under way, the oldest is,
    /// which is the likeliest to come to nothing: whoever opens connections and says no more cannot
    /// keep others out.
    pub struct Handshakes<S, C> {
        #[pin]
        incoming: S,
        tls: Tls,
        under_way: JoinSet<Option<TlsStream<C>>>,
        // Oldest first; some have ended.
        started: VecDeque<AbortHandle>,
        ended: bool,
    }
}

impl<S, C: 'static> Handshakes<S, C> {
    pub(super) fn new(incoming: S, tls: Tls) -> Self {
        let (under_way, started) = (JoinSet::new(), VecDeque::new());
        Self { incoming, tls, under_way, started, ended: false }
    }
}

impl<S, C> Stream for Handshakes<S, C>
where
    S: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Item = io::Result<TlsStream<C>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            while let Poll::Ready(Some(done)) = this.under_way.poll_join_next(cx) {
                // One that was cut, or panicked, is no connection either.
                if let Ok(Some(encrypted)) = done {
                    return Poll::Ready(Some(Ok(encrypted)));
                }
            }
            if *this.ended {
                return if this.under_way.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            }
            match this.incoming.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(io))) => {
                    let handshake = handshake(this.tls.acceptor(), io);
                    this.started.push_back(this.under_way.spawn(handshake));
                    make_room(this.started, this.under_way.len());
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S, C> fmt::Debug for Handshakes<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = self.under_way.len();
        f.debug_struct("Handshakes").field("under_way", &under_way).finish_non_exhaustive()
    }
}

/// Whatever fails here is the client's affair.
async fn handshake<C>(acceptor: TlsAcceptor, io: C) -> Option<TlsStream<C>>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = async {
        match acceptor.accept(io).into_fallible().await {
            Ok(encrypted) => Some(encrypted),
            Err((error, io)) => {
                tracing::debug!(%error, "a handshake failed");
                part(io).await;
                None
            }
        }
    };
    timeout(LIFE, handshake).await.unwrap_or_else(|_| {
        tracing::debug!("a handshake took too long");
        None
    })
}

/// Lets the client read why. If what it has sent meanwhile were left unread, the system would reset the
/// connection, and the client might learn of nothing but that.
async fn part(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = io.shutdown().await;
    let mut unread = [0; 1024];
    while matches!(io.read(&mut unread).await, Ok(1..)) {}
}

/// Cuts the oldest handshake if there are too many, and forgets those that have ended.
fn make_room(started: &mut VecDeque<AbortHandle>, under_way: usize) {
    if under_way > MOST {
        while let Some(oldest) = started.pop_front() {
            if !oldest.is_finished() {
                tracing::debug!("a handshake was cut: too many are under way");
                oldest.abort();
                break;
            }
        }
    }
    if started.len() > 2 * MOST {
        started.retain(|handshake| !handshake.is_finished());
    }
}

/// Of one listener, at a time.
pub(super) const MOST: usize = 512;
/// Longer than any honest one takes.
const LIFE: Duration = Duration::from_secs(10);
