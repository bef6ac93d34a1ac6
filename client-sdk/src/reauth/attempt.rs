//! One call: what is needed to send it, and to send it again.

use std::{fmt, sync::Arc};

use http::{Request, Response, header::AUTHORIZATION, request::Parts};
use tokio::time::Instant;
use tonic::{Status, TimeoutExpired, body::Body};
use tower_service::Service;

use super::{
    classify::Idempotent,
    deadline,
    replay::{NotReplayable, Tape},
};
use crate::{
    AuthenticationError,
    session::{Shared, Token},
};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A call under way, with all that a replay needs.
pub(super) struct Call<S> {
    inner: S,
    head: Parts,
    /// `None` for a request without a body.
    tape: Option<Tape>,
    pub(super) deadline: Option<Instant>,
    pub(super) shared: Arc<Shared>,
    /// The token that the call carries.
    pub(super) token: Arc<Token>,
}

impl<S> Call<S> {
    /// The call that `request` asks for, and the body of its first attempt. `inner` must be ready.
    pub(super) fn new(
        inner: S,
        request: Request<Body>,
        shared: Arc<Shared>,
        token: Arc<Token>,
        now: Instant,
    ) -> (Self, Body) {
        use http_body::Body as _;
        let (head, body) = request.into_parts();
        let (tape, body) = if body.is_end_stream() {
            (None, body)
        } else {
            let (tape, body) = Tape::record(body, shared.policy.replay_cap);
            (Some(tape), body)
        };
        let deadline = deadline::deadline(&head.headers, now);
        (Self { inner, head, tape, deadline, shared, token }, body)
    }

    pub(super) fn is_idempotent(&self) -> bool {
        self.head.extensions.get::<Idempotent>().is_some()
    }

    pub(super) fn is_replayable(&self) -> bool {
        self.tape.as_ref().is_none_or(Tape::is_replayable)
    }

    /// The body once more.
    pub(super) fn replay_body(&self) -> Result<Body, NotReplayable> {
        self.tape.as_ref().map_or_else(|| Ok(Body::empty()), Tape::replay)
    }

    /// There will be no replay.
    pub(super) fn release(&self) {
        if let Some(tape) = &self.tape {
            tape.release();
        }
    }

    /// Cuts the timeout that the next send carries down to what is left of the caller's.
    pub(super) fn shorten_timeout(&mut self) -> Result<(), AuthenticationError> {
        deadline::shorten(&mut self.head.headers, self.deadline)
            .ok_or(AuthenticationError::DeadlineExceeded)
    }
}

impl<S> Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
{
    /// Sends `body` under the call's head and token. The service must be ready.
    pub(super) fn send(&mut self, body: Body) -> S::Future {
        let mut head = self.head.clone();
        head.headers.insert(AUTHORIZATION, self.token.header.clone());
        self.inner.call(Request::from_parts(head, body))
    }

    /// Waits until the service is ready for another send.
    pub(super) async fn ready(&mut self) -> Result<(), S::Error> {
        std::future::poll_fn(|cx| self.inner.poll_ready(cx)).await
    }
}

impl<S> fmt::Debug for Call<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("path", &self.head.uri.path()).finish_non_exhaustive()
    }
}

/// Waits for `work` as long as a caller with this deadline would.
pub(super) async fn in_time<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, AuthenticationError>>,
) -> Result<T, AuthenticationError> {
    match deadline {
        None => work.await,
        Some(deadline) => tokio::time::timeout_at(deadline, work)
            .await
            .unwrap_or(Err(AuthenticationError::DeadlineExceeded)),
    }
}

/// The error as a response: what is above the layer sees a gRPC status, as from a server.
pub(super) fn response_of(error: AuthenticationError) -> Response<Body> {
    Status::from(error).into_http()
}

/// A transport's error, unless it is the caller's deadline, which tonic calls `CANCELLED`.
pub(super) fn failure(error: impl Into<BoxError>) -> Result<Response<Body>, BoxError> {
    let error = error.into();
    if is_timeout(&*error) {
        return Ok(response_of(AuthenticationError::DeadlineExceeded));
    }
    Err(error)
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        next = error.source();
    }
    false
}
