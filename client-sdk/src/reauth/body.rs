//! A response body that notices a refusal in its trailers.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use tower_service::Service;

use super::{
    attempt::{BoxError, Call},
    classify::{GRPC_STATUS, Verdict, correct_timeout, verdict},
    recovery::{Recovered, recover},
};
use crate::session::{Shared, Token};

/// Before its first message a refusal is still recovered from: the body goes on as that of the
/// replay. After it, a refusal only starts the refresh and is the caller's.
pub(super) struct Watched<S> {
    state: State,
    /// What a replay needs, until the first message.
    call: Option<Call<S>>,
    /// What [`peek`](Watched::peek) found.
    peeked: Option<Option<Result<Frame<Bytes>, Status>>>,
    /// How the delivered head says that messages are compressed.
    encoding: Option<HeaderValue>,
    shared: Arc<Shared>,
    token: Arc<Token>,
}

enum State {
    /// No message has been seen.
    Waiting(Body),
    /// A refusal came; the call is being made again.
    Recovering(HeaderMap, Pin<Box<dyn Future<Output = Result<Recovered, BoxError>> + Send>>),
    /// Messages flow.
    Flowing(Body),
    /// The trailers have been seen.
    Ended,
}

/// Nothing is ever pinned inside: what must not move is boxed.
impl<S> Unpin for Watched<S> {}

type Refusal<S> = (Call<S>, Verdict, HeaderMap);

impl<S> Watched<S> {
    /// Watches the first response to `call`.
    pub(super) fn new(body: Body, call: Call<S>, head: &HeaderMap) -> Self {
        Self {
            shared: Arc::clone(&call.shared),
            token: Arc::clone(&call.token),
            state: State::Waiting(body),
            call: Some(call),
            peeked: None,
            encoding: head.get(GRPC_ENCODING).cloned(),
        }
    }

    /// Watches the response to a replay that was sent with `token`.
    pub(super) const fn last(body: Body, shared: Arc<Shared>, token: Arc<Token>) -> Self {
        Self {
            state: State::Waiting(body),
            call: None,
            peeked: None,
            encoding: None,
            shared,
            token,
        }
    }

    /// Looks at the first frame if it is here. A refusal is taken out; the body has then ended.
    pub(super) fn peek(&mut self, cx: &mut Context<'_>) -> Option<Refusal<S>> {
        let State::Waiting(body) = &mut self.state else { return None };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else { return None };
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
            && let Some(seen @ (Verdict::Refused | Verdict::RefusedForeign)) = verdict(trailers)
            && let Some(call) = self.call.take()
        {
            let trailers = trailers.clone();
            self.state = State::Ended;
            return Some((call, seen, trailers));
        }
        self.peeked = Some(frame);
        None
    }

    /// Learns from a frame that is about to be delivered.
    fn note(&mut self, frame: &mut Option<Result<Frame<Bytes>, Status>>) {
        let Some(Ok(frame)) = frame else { return };
        if frame.data_ref().is_some_and(|data| !data.is_empty()) {
            self.token.accept();
            if let Some(call) = self.call.take() {
                call.release();
            }
            if let State::Waiting(body) = &mut self.state {
                self.state = State::Flowing(std::mem::take(body));
            }
        } else if let Some(trailers) = frame.trailers_mut() {
            match verdict(trailers) {
                Some(Verdict::Accepted) => self.token.accept(),
                Some(Verdict::Refused | Verdict::RefusedForeign) => {
                    self.token.refuse();
                    // A stream that had begun is the caller's to take up again; the token is not.
                    if matches!(self.state, State::Flowing(_)) {
                        self.shared.renew_early(self.token.generation);
                    }
                }
                Some(Verdict::Unknown) => correct_timeout(trailers),
                None => {}
            }
        }
    }

    /// Goes on with the answer to the replay, if that fits under the head already delivered.
    fn take_up(&mut self, refusal: HeaderMap, recovered: Recovered) -> Option<Frame<Bytes>> {
        let (head, body) = recovered.response.into_parts();
        if head.headers.contains_key(GRPC_STATUS) {
            let mut trailers = head.headers;
            trailers.remove(CONTENT_TYPE);
            self.state = State::Ended;
            return Some(Frame::trailers(trailers));
        }
        if head.headers.get(GRPC_ENCODING) != self.encoding.as_ref() {
            self.state = State::Ended;
            return Some(Frame::trailers(refusal));
        }
        if let Some(token) = recovered.pending {
            self.token = token;
        }
        self.state = State::Waiting(body);
        None
    }
}

impl<S> HttpBody for Watched<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        loop {
            let mut frame = match this.peeked.take() {
                Some(frame) => frame,
                None => match &mut this.state {
                    State::Ended => return Poll::Ready(None),
                    State::Flowing(body) => ready!(Pin::new(body).poll_frame(cx)),
                    State::Recovering(refusal, recovery) => {
                        let answer = ready!(recovery.as_mut().poll(cx));
                        let refusal = std::mem::take(refusal);
                        match answer {
                            Ok(recovered) => match this.take_up(refusal, recovered) {
                                Some(frame) => return Poll::Ready(Some(Ok(frame))),
                                None => continue,
                            },
                            Err(error) => {
                                this.state = State::Ended;
                                return Poll::Ready(Some(Err(Status::from_error(error))));
                            }
                        }
                    }
                    State::Waiting(_) => {
                        if let Some((call, seen, trailers)) = this.peek(cx) {
                            let mut refusal = Response::new(Body::empty());
                            *refusal.headers_mut() = trailers.clone();
                            let recovery = Box::pin(recover(Box::new(call), seen, refusal));
                            this.state = State::Recovering(trailers, recovery);
                        } else if this.peeked.is_none() {
                            return Poll::Pending;
                        }
                        continue;
                    }
                },
            };
            this.note(&mut frame);
            return Poll::Ready(frame);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.peeked.is_none()
            && match &self.state {
                State::Waiting(body) | State::Flowing(body) => body.is_end_stream(),
                State::Recovering(..) => false,
                State::Ended => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

const GRPC_ENCODING: &str = "grpc-encoding";
