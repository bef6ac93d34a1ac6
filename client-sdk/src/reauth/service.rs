//! Sends calls as a session.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tower_service::Service;
use trace_context::{TRACEPARENT, TraceContext};

use super::{
    ResponseFuture,
    attempt::{BoxError, Call, response_of},
    bypass::{has_own_authorization, is_token_rpc},
    look::renew_then_send,
};
use crate::{
    Session,
    session::{Freshness, Shared, Token},
};

/// A gRPC channel whose calls are authenticated. Made by [`ReauthLayer`](super::ReauthLayer), which
/// says what it does.
#[derive(Clone, Debug)]
pub struct Reauth<S> {
    inner: S,
    session: Option<Session>,
}

impl<S> Reauth<S> {
    pub(super) const fn new(inner: S, session: Option<Session>) -> Self {
        Self { inner, session }
    }

    /// The channel below.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The channel below.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S> Service<Request<Body>> for Reauth<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = ResponseFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> ResponseFuture<S> {
        // Readiness belongs to this instance, not to a clone of it: take it, leave the clone.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);

        if has_own_authorization(request.headers()) {
            return ResponseFuture::untouched(inner.call(request));
        }
        if is_token_rpc(request.uri().path()) {
            tracing::debug!(path = request.uri().path(), "a token RPC bypasses the layer");
            return ResponseFuture::untouched(inner.call(request));
        }
        let Some(session) = request.extensions().get().or(self.session.as_ref()) else {
            return ResponseFuture::untouched(inner.call(request));
        };
        let shared = Arc::clone(&session.shared);
        let Some(token) = shared.current() else {
            return ResponseFuture::settled(response_of(shared.signed_out()));
        };
        let now = Instant::now();
        let trace = trace_of(&mut request, &shared);
        let wait = trace.enter(|| must_wait(&shared, &token, now));
        if wait {
            // What was reserved below is free for others meanwhile, the refresh among them.
            inner = inner.clone();
        }
        let (mut call, request) = Call::new(inner, request, shared, token, trace, now);
        if wait {
            return ResponseFuture::recovering(renew_then_send(call, request));
        }
        let sent = call.send(request);
        ResponseFuture::first(sent, call)
    }
}

/// The trace of a call: the one that its sender names, or that of the task that makes it, or a new
/// one. Its replay and the refresh that it waits for belong to it too.
fn trace_of(request: &mut Request<Body>, shared: &Shared) -> TraceContext {
    if let Some(trace) = TraceContext::of(request.headers()) {
        return trace;
    }
    let trace = TraceContext::current().unwrap_or_else(|| shared.trace_ids.root());
    // What is there and means nothing to us is the sender's all the same.
    request.headers_mut().entry(&TRACEPARENT).or_insert_with(|| trace.header());
    trace
}

/// Whether the token is certain, or nearly so, to be refused. One that is merely due goes on being
/// used while its successor is fetched.
fn must_wait(shared: &Arc<Shared>, token: &Token, now: Instant) -> bool {
    if token.was_refused() && shared.is_past_using(token.generation) {
        return true;
    }
    match token.freshness(now) {
        Freshness::Missing => true,
        _ if !shared.policy.proactive => false,
        Freshness::Fresh => false,
        Freshness::Due => {
            shared.renew_early(token.generation);
            false
        }
        Freshness::RunOut | Freshness::LooksRunOut => true,
    }
}
