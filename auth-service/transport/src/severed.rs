//! Connections that can be cut, all at once.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};
use tonic::transport::server::Connected;

pin_project! {
    /// A connection that breaks once it is told to: whatever is under way on it ends with it.
    pub(crate) struct Severed<C> {
        #[pin]
        inner: C,
        cut: Pin<Box<dyn Future<Output = ()> + Send>>,
        is_cut: bool,
    }
}

impl<C> Severed<C> {
    /// Breaks `inner` once `cut` says true.
    pub(crate) fn by(inner: C, mut cut: watch::Receiver<bool>) -> Self {
        let cut = Box::pin(async move {
            if cut.wait_for(|cut| *cut).await.is_err() {
                // Nobody is left who could cut it.
                std::future::pending::<()>().await;
            }
        });
        Self { inner, cut, is_cut: false }
    }
}

impl<C> Severed<C> {
    /// What `work` comes to, unless the connection is cut before that.
    fn unless_cut<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        work: impl FnOnce(Pin<&mut C>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let this = self.project();
        if !*this.is_cut {
            let done = work(this.inner, cx);
            // A server always waits for something, so this is where it hears.
            if done.is_ready() || this.cut.as_mut().poll(cx).is_pending() {
                return done;
            }
            *this.is_cut = true;
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server has stopped")))
    }
}

impl<C: AsyncRead> AsyncRead for Severed<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.unless_cut(cx, |inner, cx| inner.poll_read(cx, buffer))
    }
}

impl<C: AsyncWrite> AsyncWrite for Severed<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unless_cut(cx, |inner, cx| inner.poll_write(cx, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unless_cut(cx, |inner, cx| inner.poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(cx, AsyncWrite::poll_shutdown)
    }
}

impl<C: Connected> Connected for Severed<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.inner.connect_info()
    }
}
