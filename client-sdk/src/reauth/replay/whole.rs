//! A body of one frame.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;

/// Yields its bytes, and says with them that it has ended: the transport then marks the frame so,
/// where a stub's own body costs an empty frame more.
pub(super) struct Whole(Option<Bytes>);

impl Whole {
    pub(super) const fn new(data: Bytes) -> Self {
        Self(Some(data))
    }
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    /// Says nothing: an exact size would add a `content-length` that the call had not had.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
