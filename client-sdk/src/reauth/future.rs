//! The future of a call.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower_service::Service;

use super::{
    attempt::{BoxError, Call, failure},
    look::{Seen, look, recover},
};

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
        // The first attempt is on the wire.
        First { #[pin] sent: F, call: Option<Call<S>> },
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

    pub(super) const fn first(sent: S::Future, call: Call<S>) -> Self {
        Self { state: State::First { sent, call: Some(call) } }
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
                StateProj::First { sent, call } => {
                    let response = match ready!(sent.poll(cx)) {
                        Ok(response) => response,
                        Err(error) => return Poll::Ready(failure(error)),
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
