//! Ends what streams to a caller who may no longer act.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::caller::Caller;

pin_project_lite::pin_project! {
    /// A response's body, which ends with the guard's refusal as its status when its caller's session
    /// is revoked.
    pub(super) struct GuardedBody<B> {
        #[pin]
        inner: B,
        watch: Watch,
    }
}

enum Watch {
    /// What answers with one message ends of itself, and is not worth watching.
    Unary {
        caller: Caller,
        answered: bool,
    },
    Watching(Pin<Box<dyn Future<Output = Status> + Send>>),
    Ended,
}

impl<B> GuardedBody<B> {
    pub(super) fn new(inner: B, caller: Caller) -> Self {
        Self { inner, watch: Watch::Unary { caller, answered: false } }
    }
}

impl<B: Body> Body for GuardedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        if let Watch::Unary { caller, answered } = this.watch {
            let frame = this.inner.as_mut().poll_frame(cx);
            let streams = match &frame {
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => mem::replace(answered, true),
                Poll::Ready(_) => false,
                Poll::Pending => true,
            };
            if streams {
                let caller = caller.clone();
                *this.watch = Watch::Watching(Box::pin(async move { caller.ended().await }));
            }
            if frame.is_ready() {
                return frame;
            }
        }
        let status = match this.watch {
            Watch::Watching(ended) => match ended.as_mut().poll(cx) {
                Poll::Ready(status) => status,
                Poll::Pending => return this.inner.poll_frame(cx),
            },
            Watch::Ended => return Poll::Ready(None),
            Watch::Unary { .. } => return this.inner.poll_frame(cx),
        };
        *this.watch = Watch::Ended;
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).expect("a refusal's status is made of header values");
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.watch, Watch::Ended) || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for GuardedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedBody").finish_non_exhaustive()
    }
}
