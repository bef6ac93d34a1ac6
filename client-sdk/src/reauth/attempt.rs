//! One call: what is needed to send it, and to send it again.

use std::{fmt, sync::Arc};

use http::{Request, Response, header::AUTHORIZATION};
use tokio::time::Instant;
use tonic::{Status, TimeoutExpired, body::Body};
use tower_service::Service;
use trace_context::TraceContext;

use super::{
    deadline,
    head::Head,
    replay::{NotReplayable, Recording},
};
use crate::{
    AuthenticationError,
    session::{Shared, Token},
};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A call under way, with all that a replay needs.
pub(super) struct Call<S> {
    inner: S,
    head: Head,
    body: Recording,
    pub(super) deadline: Option<Instant>,
    pub(super) shared: Arc<Shared>,
    /// The token that the call carries.
    pub(super) token: Arc<Token>,
    /// What is done for the call is done in its trace.
    pub(super) trace: TraceContext,
}

impl<S> Call<S> {
    /// The call that `request` asks for, and the request of its first attempt.
    pub(super) fn new(
        inner: S,
        request: Request<Body>,
        shared: Arc<Shared>,
        token: Arc<Token>,
        trace: TraceContext,
        now: Instant,
    ) -> (Self, Request<Body>) {
        let head = Head::of(&request);
        let deadline = deadline::deadline(request.headers(), now);
        let cap = shared.policy.replay_cap;
        let (parts, body) = request.into_parts();
        let (recording, body) = Recording::start(body, cap);
        let first = Request::from_parts(parts, body);
        (Self { inner, head, body: recording, deadline, shared, token, trace }, first)
    }

    pub(super) const fn is_idempotent(&self) -> bool {
        self.head.is_idempotent()
    }

    pub(super) fn is_replayable(&self) -> bool {
        self.body.is_replayable()
    }

    /// The request once more, head and body.
    pub(super) fn again(&self) -> Result<Request<Body>, NotReplayable> {
        Ok(self.head.with(self.body.replay()?))
    }

    /// There will be no replay.
    pub(super) fn release(self) {
        self.body.release();
    }
}

impl<S> Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
{
    /// Sends `request` with the call's token. The service must be ready.
    pub(super) fn send(&mut self, mut request: Request<Body>) -> S::Future {
        request.headers_mut().insert(AUTHORIZATION, self.token.header.clone());
        self.inner.call(request)
    }

    /// Waits until the service is ready, then sends `request` with what is left of the caller's
    /// time. The outer error is the layer's, the inner one the transport's.
    pub(super) async fn send_when_ready(
        &mut self,
        mut request: Request<Body>,
    ) -> Result<Result<Response<Body>, S::Error>, AuthenticationError> {
        let deadline = self.deadline;
        in_time(deadline, async {
            if let Err(error) = std::future::poll_fn(|cx| self.inner.poll_ready(cx)).await {
                return Ok(Err(error));
            }
            deadline::shorten(request.headers_mut(), deadline)
                .ok_or(AuthenticationError::DeadlineExceeded)?;
            Ok(self.send(request).await)
        })
        .await
    }
}

impl<S> fmt::Debug for Call<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("path", &self.head.path()).finish_non_exhaustive()
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
