//! The connections that a server accepts, and how many.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::{Share, Shares};

/// Accepts connections, and closes at once those that are too many: a client that is told so goes
/// elsewhere, and one that waits in the system's queue does not know that it waits.
///
/// No other machine holds more than half of them, so that one cannot keep all others out. This very
/// machine may, since what comes from it may be a proxy for everybody.
pub struct Connections {
    listener: TcpListener,
    most: usize,
    free: Arc<Semaphore>,
    by_address: Shares<IpAddr>,
    /// After a failure to accept: where there is no room for one more file, the next attempt would
    /// fail at once too.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Connections {
    /// At most `most` at a time.
    #[must_use]
    pub fn of(listener: TcpListener, most: NonZeroUsize) -> Self {
        let most = most.get().min(Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(most));
        Self { listener, most, free, by_address: Shares::default(), pause: None }
    }

    /// A place for one more, if there is one.
    fn place(&self, address: IpAddr) -> Option<Place> {
        let share = if address.is_loopback() { self.most } else { self.most.div_ceil(2) };
        Some(Place {
            _of_all: Arc::clone(&self.free).try_acquire_owned().ok()?,
            _of_address: self.by_address.take(address, share)?,
        })
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let (tcp, peer) = match ready!(self.listener.poll_accept(cx)) {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                    continue;
                }
            };
            let Some(place) = self.place(peer.ip().to_canonical()) else {
                tracing::debug!(%peer, "one connection too many was closed");
                continue;
            };
            // Small frames leave at once. That they may not is no reason not to serve.
            let _ = tcp.set_nodelay(true);
            let opening =
                Some(Opening { missing: PREFACE, end: Box::pin(tokio::time::sleep(PATIENCE)) });
            return Poll::Ready(Some(Ok(Connection {
                tcp,
                peer,
                opening,
                stalled: None,
                _place: place,
            })));
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("most", &self.most).finish_non_exhaustive()
    }
}

/// A connection, which ends if its client has nothing to say to begin with, or takes in nothing of what
/// is said to it.
#[derive(Debug)]
pub struct Connection {
    tcp: TcpStream,
    peer: SocketAddr,
    opening: Option<Opening>,
    /// When it is given up, if nothing more can be written until then.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

/// What a client says first is still to come.
#[derive(Debug)]
struct Opening {
    missing: usize,
    end: Pin<Box<Sleep>>,
}

/// A place among the open connections.
#[derive(Debug)]
struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_address: Share<IpAddr>,
}

impl Connection {
    /// What came of writing, unless nothing could be written for too long.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo { local_addr: self.tcp.local_addr().ok(), remote_addr: Some(self.peer) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        let Some(opening) = &mut self.opening else { return read };
        opening.missing = opening.missing.saturating_sub(buf.filled().len() - before);
        if opening.missing == 0 {
            self.opening = None;
        } else if read.is_pending() {
            ready!(opening.end.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// How many bytes every client sends unasked: the preface of HTTP/2 (RFC 9113 section 3.4), or the
/// beginning of a TLS handshake.
const PREFACE: usize = 24;
/// For so long it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take in nothing, where there is something for it.
const STALLED: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_stream::StreamExt as _;

    use super::*;

    async fn listening(most: usize) -> (Connections, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (Connections::of(listener, NonZeroUsize::new(most).unwrap()), address)
    }

    #[tokio::test]
    async fn one_too_many_is_closed_and_the_next_finds_the_place_of_one_that_went() {
        let (mut connections, address) = listening(2).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let first = connections.next().await.unwrap().unwrap();
        let second = connections.next().await.unwrap().unwrap();
        let next = tokio::spawn(async move { connections.next().await.unwrap().unwrap() });
        assert_eq!(clients[2].read(&mut [0]).await.unwrap(), 0, "it was closed");
        drop(first);
        let last = TcpStream::connect(address).await.unwrap();
        assert_eq!(next.await.unwrap().peer, last.local_addr().unwrap());
        drop(second);
    }

    #[tokio::test]
    async fn one_address_holds_half_unless_it_is_this_machine() {
        let (connections, _) = listening(4).await;
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let held = [connections.place(one), connections.place(one)];
        assert!(held.iter().all(Option::is_some));
        assert!(connections.place(one).is_none());
        let there = connections.place(other);
        assert!(there.is_some());
        drop(held);
        assert!(connections.place(one).is_some());
        let here = Ipv4Addr::LOCALHOST.into();
        let here: Vec<_> = (0..4).map_while(|_| connections.place(here)).collect();
        assert_eq!(here.len(), 3);
        drop((here, there));
        assert_eq!(connections.free.available_permits(), 4);
    }

    /// The clock stands only once what was sent has arrived: it would run ahead of a real socket.
    #[tokio::test]
    async fn a_client_that_says_nothing_is_not_waited_for() {
        let (mut connections, address) = listening(2).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut connection = connections.next().await.unwrap().unwrap();
        client.write_all(&[0; PREFACE - 1]).await.unwrap();
        connection.tcp.readable().await.unwrap();
        tokio::time::pause();
        let mut buffer = [0; 64];
        assert_eq!(connection.read(&mut buffer).await.unwrap(), PREFACE - 1);
        let silent = connection.read(&mut buffer).await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_has_begun_may_be_silent() {
        let (mut connections, address) = listening(2).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let mut connection = connections.next().await.unwrap().unwrap();
        client.write_all(&[0; PREFACE]).await.unwrap();
        connection.tcp.readable().await.unwrap();
        tokio::time::pause();
        let mut buffer = [0; 64];
        assert_eq!(connection.read(&mut buffer).await.unwrap(), PREFACE);
        let silent = tokio::time::timeout(2 * PATIENCE, connection.read(&mut buffer)).await;
        assert!(silent.is_err(), "it is waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_in_nothing_is_not_waited_for() {
        let (mut connections, address) = listening(1).await;
        let _client = TcpStream::connect(address).await.unwrap();
        let mut connection = connections.next().await.unwrap().unwrap();
        let began = tokio::time::Instant::now();
        let error = connection.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= STALLED);
    }
}
