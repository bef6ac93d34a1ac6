//! The future of a call.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tonic::body::Body;
use tower_service::Service;

use super::{
    attempt::{BoxError, Call, failure, response_of},
    look::{Seen, look, recover},
};
use crate::AuthenticationError;

pin_project! {
    /// The response of [`Reauth`](super::Reauth).
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<S: Service<Request<Body>>> {
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        // A call that the layer leaves alone.
        Untouched { #[pin] sent: F },
        // The first attempt is on the wire. The caller's time runs here too: a channel's own timer
        // starts only once it has a connection.
        First { #[pin] sent: F, #[pin] late: Option<Sleep>, call: Option<Call<S>> },
        // Waiting for a token, or for the replay.
        Recovering { work: Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>> },
        // Settled without network.
        Settled { response: Option<Response<Body>> },
    }
}

impl<S: Service<Request<Body>>> ResponseFuture<S> {
    pub(super) const fn untouched(sent: S::Future) -> Self {
        Self { state: State::Untouched { sent } }
    }

    pub(super) fn first(sent: S::Future, call: Call<S>) -> Self {
        let late = call.deadline.map(sleep_until);
        Self { state: State::First { sent, late, call: Some(call) } }
    }

    pub(super) fn recovering(
        work: impl Future<Output = Result<Response<Body>, BoxError>> + Send + 'static,
    ) -> Self {
        Self { state: State::Recovering { work: Box::pin(work) } }
    }

    pub(super) const fn settled(response: Response<Body>) -> Self {
        Self { state: State::Settled { response: Some(response) } }
    }
}

impl<S> Future for ResponseFuture<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    type Output = Result<Response<Body>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let work = match state.as_mut().project() {
                StateProj::Untouched { sent } => {
                    return Poll::Ready(ready!(sent.poll(cx)).map_err(Into::into));
                }
                StateProj::Settled { response } => {
                    let response = response.take().expect("polled after completion");
                    return Poll::Ready(Ok(response));
                }
                StateProj::Recovering { work } => return work.as_mut().poll(cx),
                StateProj::First { sent, late, call } => {
                    let response = match sent.poll(cx) {
                        Poll::Ready(Ok(response)) => response,
                        Poll::Ready(Err(error)) => return Poll::Ready(failure(error)),
                        Poll::Pending => {
                            let Some(late) = late.as_pin_mut() else { return Poll::Pending };
                            ready!(late.poll(cx));
                            let error = AuthenticationError::DeadlineExceeded;
                            state.set(State::Settled { response: None });
                            return Poll::Ready(Ok(response_of(error)));
                        }
                    };
                    let call = call.take().expect("polled after completion");
                    match look(call, response, cx) {
                        Seen::Answer(response) => return Poll::Ready(Ok(response)),
                        Seen::Refusal(call, verdict, refusal) => recover(call, verdict, refusal),
                    }
                }
            };
            state.set(State::Recovering { work: Box::pin(work) });
        }
    }
}

impl<S: Service<Request<Body>>> fmt::Debug for ResponseFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
