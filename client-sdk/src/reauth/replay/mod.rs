//! A request body that can be sent again.

mod tape;
mod whole;

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tonic::{Status, body::Body};

use self::{tape::Tape, whole::Whole};

/// What is kept of a request's body.
pub(super) enum Recording {
    /// There is none.
    Empty,
    /// All of it, which was there at once, as that of a unary call is.
    Whole(Bytes),
    /// It streams.
    Streaming(Tape),
    /// It is larger than the cap.
    TooLarge,
}

/// Why a request cannot be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotReplayable;

type Polled = Option<Result<Frame<Bytes>, Status>>;

impl Recording {
    /// Keeps up to `cap` bytes of `body`. Also gives the body of the first attempt.
    pub(super) fn start(mut body: Body, cap: usize) -> (Self, Body) {
        if body.is_end_stream() {
            return (Self::Empty, body);
        }
        let first = match poll_now(&mut body) {
            Poll::Pending => return Self::streaming([], body, cap),
            Poll::Ready(None) => return (Self::Empty, Body::empty()),
            Poll::Ready(Some(first)) => first,
        };
        let data = match first.map(Frame::into_data) {
            Ok(Ok(data)) => data,
            Ok(Err(trailers)) => return Self::streaming([Ok(trailers)], body, cap),
            Err(error) => return Self::streaming([Err(error)], body, cap),
        };
        if !body.is_end_stream() {
            match poll_now(&mut body) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(second)) => {
                    return Self::streaming([Ok(Frame::data(data)), second], body, cap);
                }
                Poll::Pending => return Self::streaming([Ok(Frame::data(data))], body, cap),
            }
        }
        let first_attempt = Body::new(Whole::new(data.clone()));
        let kept = if data.len() <= cap { Self::Whole(data) } else { Self::TooLarge };
        (kept, first_attempt)
    }

    fn streaming<const N: usize>(
        ahead: [Result<Frame<Bytes>, Status>; N],
        body: Body,
        cap: usize,
    ) -> (Self, Body) {
        let (tape, first) = Tape::record(ahead, body, cap);
        (Self::Streaming(tape), first)
    }

    /// The whole body again. There is one replay: whatever sent the body before this ends.
    pub(super) fn replay(&self) -> Result<Body, NotReplayable> {
        match self {
            Self::Empty => Ok(Body::empty()),
            Self::Whole(data) => Ok(Body::new(Whole::new(data.clone()))),
            Self::Streaming(tape) => tape.replay(),
            Self::TooLarge => Err(NotReplayable),
        }
    }

    /// Whether [`replay`](Self::replay) would work now.
    pub(super) fn is_replayable(&self) -> bool {
        match self {
            Self::Empty | Self::Whole(_) => true,
            Self::Streaming(tape) => tape.is_replayable(),
            Self::TooLarge => false,
        }
    }

    /// Lets go of what was kept: there will be no replay.
    pub(super) fn release(self) {
        if let Self::Streaming(tape) = self {
            tape.release();
        }
    }
}

/// What is here. Nobody needs to be woken for what is not: whoever sends the body polls it again.
fn poll_now(body: &mut Body) -> Poll<Polled> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

#[cfg(test)]
mod tests;
