//! A request body that can be sent again while it is still streaming.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};

use super::{NotReplayable, Polled};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// The one source of a request's bytes, and what has been read of it so far.
///
/// Attempts read through views. Opening a view outdates the one before, so the source is never
/// polled from two places: an outdated view ends with an error, and what it had read is read again
/// from the tape.
#[derive(Clone)]
pub(in crate::reauth) struct Tape(Arc<Mutex<Source>>);

struct Source {
    /// Frames that were read before anybody sent the body.
    ahead: VecDeque<Result<Frame<Bytes>, Status>>,
    body: Body,
    /// Frames read from `body` that the current view, or the next, has yet to yield.
    tape: VecDeque<Bytes>,
    /// How many of them the current view has yielded. Stays 0 once they are no longer kept.
    position: usize,
    bytes: usize,
    cap: usize,
    keep: Keep,
    view: u64,
    /// Who polls the current view, to be told that it is outdated.
    waker: Option<Waker>,
}

/// Whether what is read is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Yes,
    /// It was larger than the cap, or failed to be read.
    Lost,
    /// Nobody will ask for it again.
    Released,
}

impl Tape {
    /// A tape over `body`, which had already yielded `ahead`, and the body of the first attempt.
    pub(super) fn record(
        ahead: impl IntoIterator<Item = Result<Frame<Bytes>, Status>>,
        body: Body,
        cap: usize,
    ) -> (Self, Body) {
        let tape = Self(Arc::new(Mutex::new(Source {
            ahead: ahead.into_iter().collect(),
            body,
            tape: VecDeque::new(),
            position: 0,
            bytes: 0,
            cap,
            keep: Keep::Yes,
            view: 0,
            waker: None,
        })));
        let view = View { tape: tape.clone(), number: 0 };
        let body = Body::new(view);
        (tape, body)
    }

    /// The whole body again: what was read, then the rest from its source. The one view before this
    /// ends.
    pub(super) fn replay(&self) -> Result<Body, NotReplayable> {
        let mut source = self.source();
        if source.keep != Keep::Yes {
            return Err(NotReplayable);
        }
        // There is one replay, so this view's frames need not be kept.
        source.keep = Keep::Released;
        source.position = 0;
        source.view += 1;
        let number = source.view;
        if let Some(waker) = source.waker.take() {
            waker.wake();
        }
        drop(source);
        Ok(Body::new(View { tape: self.clone(), number }))
    }

    /// Whether [`replay`](Self::replay) would work now.
    pub(super) fn is_replayable(&self) -> bool {
        self.source().keep == Keep::Yes
    }

    /// Lets go of what was kept: there will be no replay.
    pub(super) fn release(&self) {
        let mut source = self.source();
        if source.keep == Keep::Yes {
            source.keep = Keep::Released;
            source.forget_yielded();
        }
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        // A body that panics while it is polled leaves nothing half done here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn forget_yielded(&mut self) {
        let yielded = std::mem::take(&mut self.position);
        self.tape.drain(..yielded);
    }

    /// The next frame of the tape, if the view is not at its end.
    fn rewind(&mut self) -> Option<Bytes> {
        if self.keep == Keep::Yes {
            let frame = self.tape.get(self.position)?.clone();
            self.position += 1;
            return Some(frame);
        }
        self.tape.pop_front()
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Polled> {
        match self.ahead.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    fn has_ended(&self) -> bool {
        self.ahead.is_empty() && self.body.is_end_stream()
    }

    fn note(&mut self, frame: Option<&Result<Frame<Bytes>, Status>>) {
        if self.keep != Keep::Yes {
            return;
        }
        match frame {
            None => {}
            // gRPC requests have no trailers; one that has is not sent again without them.
            Some(Err(_)) => self.lose(),
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) if data.len() <= self.cap - self.bytes => {
                    self.bytes += data.len();
                    self.position += 1;
                    self.tape.push_back(data.clone());
                }
                _ => self.lose(),
            },
        }
    }

    fn lose(&mut self) {
        self.keep = Keep::Lost;
        self.forget_yielded();
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").finish_non_exhaustive()
    }
}

/// One attempt's view of the body.
struct View {
    tape: Tape,
    number: u64,
}

impl HttpBody for View {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled> {
        let mut source = self.tape.source();
        if source.view != self.number {
            return Poll::Ready(Some(Err(Status::cancelled("the call is being sent again"))));
        }
        if let Some(data) = source.rewind() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let polled = source.poll_frame(cx);
        if polled.is_pending() {
            source.waker = Some(cx.waker().clone());
        }
        let frame = ready!(polled);
        source.note(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let source = self.tape.source();
        source.view == self.number && source.position == source.tape.len() && source.has_ended()
    }

    /// Says nothing, as a stub's stream does not.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests;
