//! The guard as a tower layer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, header::AUTHORIZATION};
use tonic::{Status, body::Body, server::NamedService};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    body::GuardedBody,
    caller::Caller,
    policy::{Access, Policy},
    refusal::Refusal,
    verify::{Guard, Recalled},
};

/// Puts a [`Guarded`] in front of a service.
#[derive(Clone, Debug)]
pub struct GuardLayer(Arc<Rules>);

/// Behind one pointer: servers clone their services for every request, and a count that two cores
/// change in turn costs more than all else here.
#[derive(Debug)]
struct Rules {
    guard: Guard,
    policy: Policy,
}

impl GuardLayer {
    /// Lets through what `guard` accepts and `policy` allows.
    #[must_use]
    pub fn new(guard: Guard, policy: Policy) -> Self {
        Self(Arc::new(Rules { guard, policy }))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, rules: Arc::clone(&self.0) }
    }
}

/// Lets a call through to `S`, with a [`Caller`] in its extensions, or answers it.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    rules: Arc<Rules>,
}

/// A guarded service is served under its own name, beside others that are not guarded.
impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Rules { guard, policy } = &*self.rules;
        let access = match policy.access(request.uri().path()) {
            None => return ResponseFuture::refused(Refusal::Denied),
            Some(Access::Public) => return ResponseFuture::call(&mut self.inner, request, None),
            Some(access) => access,
        };
        let recalled = guard.recall(request.headers());
        // Whatever logs headers further in does not log this one.
        if let Some(value) = request.headers_mut().get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        match recalled {
            Ok(Recalled::Known(caller)) => match access.admit(&caller) {
                Ok(()) => {
                    let watched = caller.watched();
                    request.extensions_mut().insert(caller);
                    ResponseFuture::call(&mut self.inner, request, watched)
                }
                Err(refusal) => ResponseFuture::refused(refusal),
            },
            Err(refusal) => ResponseFuture::refused(refusal),
            // A server calls its service on the connection's task, and polls what comes of it on
            // another one: signatures do not hold up the other calls of the connection.
            Ok(Recalled::Unknown(token, digest)) => {
                let (rules, access) = (Arc::clone(&self.rules), access.clone());
                let verdict = Box::pin(async move {
                    let caller = rules.guard.settle(&token, digest).await?;
                    access.admit(&caller)?;
                    Ok(caller)
                });
                // The service that was polled ready goes into the future; a clone, which may not
                // be ready, stays behind.
                let clone = self.inner.clone();
                let service = std::mem::replace(&mut self.inner, clone);
                ResponseFuture {
                    state: State::Judging { verdict, service, request: Some(request) },
                }
            }
        }
    }
}

pin_project_lite::pin_project! {
    /// Resolves to the service's response, or to the guard's refusal.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        /// The token is looked at; keys may have to be fetched.
        Judging { verdict: Verdict, service: S, request: Option<Request<B>> },
        /// The call was let through.
        Calling { #[pin] future: F, watched: Watched },
        /// The call was not let through.
        Refused { refusal: Option<Refusal> },
    }
}

type Verdict = Pin<Box<dyn Future<Output = Result<Caller, Refusal>> + Send>>;
/// Whose end is the response's, while it streams.
type Watched = Option<Caller>;

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn call(service: &mut S, request: Request<B>, watched: Watched) -> Self {
        Self { state: State::Calling { future: service.call(request), watched } }
    }

    fn refused(refusal: Refusal) -> Self {
        Self { state: State::Refused { refusal: Some(refusal) } }
    }
}

impl<S, B> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Judging { verdict, service, request } => {
                    match ready!(verdict.as_mut().poll(cx)) {
                        Ok(caller) => {
                            let watched = caller.watched();
                            let mut request = request.take().expect(ONCE);
                            request.extensions_mut().insert(caller);
                            State::Calling { future: service.call(request), watched }
                        }
                        Err(refusal) => State::Refused { refusal: Some(refusal) },
                    }
                }
                StateProj::Calling { future, watched } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(match watched.take() {
                        Some(watched) => {
                            response.map(|body| Body::new(GuardedBody::new(body, watched)))
                        }
                        None => response,
                    }));
                }
                StateProj::Refused { refusal } => {
                    let status = Status::from(refusal.take().expect(ONCE));
                    return Poll::Ready(Ok(status.into_http()));
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, B> std::fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

const ONCE: &str = "a future is not polled after it has resolved";
