//! What happens off the happy path: waiting for a token, and the one replay.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode};
use tonic::body::Body;
use tower_service::Service;

use super::{
    attempt::{BoxError, Call, failure, in_time, response_of},
    body::Watched,
    classify::{Verdict, correct_timeout, may_replay, verdict},
};
use crate::{AuthenticationError, flight::Cause, session::Freshness};

/// A response, or the refusal that may yet be recovered from.
pub(super) enum Seen<S> {
    Answer(Response<Body>),
    Refusal(Box<Call<S>>, Verdict, Response<Body>),
}

/// Looks at the head of a response, and at its first frame if that is already here: waiting for it
/// would delay the headers of a stream. A refusal that shows up later is recovered from inside the
/// body.
pub(super) fn look<S>(call: Call<S>, mut response: Response<Body>, cx: &mut Context<'_>) -> Seen<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    use http_body::Body as _;
    match verdict(response.headers()) {
        Some(seen @ (Verdict::Refused | Verdict::RefusedForeign)) => {
            return Seen::Refusal(Box::new(call), seen, response);
        }
        Some(Verdict::Accepted) => call.token.accept(),
        Some(Verdict::Unknown) => correct_timeout(response.headers_mut()),
        // A proxy that does not speak gRPC.
        None if response.status() == StatusCode::UNAUTHORIZED => {
            return Seen::Refusal(Box::new(call), Verdict::RefusedForeign, response);
        }
        None if response.body().is_end_stream() => {}
        None => {
            let (head, body) = response.into_parts();
            let mut body = Watched::new(body, call, &head.headers);
            return match body.peek(cx) {
                Some((call, seen, trailers)) => {
                    // As if it had been sent as trailers only.
                    let mut response = Response::from_parts(head, Body::empty());
                    response.headers_mut().extend(trailers);
                    Seen::Refusal(Box::new(call), seen, response)
                }
                None => Seen::Answer(Response::from_parts(head, Body::new(body))),
            };
        }
    }
    Seen::Answer(response)
}

/// Gets a token first, then makes the call.
pub(super) async fn renew_then_send<S>(
    mut call: Call<S>,
    body: Body,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    let (shared, failed) = (Arc::clone(&call.shared), call.token.generation);
    let renewed = in_time(call.deadline, shared.renew(failed, Cause::Outdated)).await;
    match renewed {
        Ok(landing) if call.token.same_session(&landing.token) => call.token = landing.token,
        // Whoever began the call has been signed out since.
        Ok(_) => return Ok(response_of(call.shared.signed_out())),
        // The token only looks run out; the server knows better.
        Err(error)
            if error.is_transient()
                && !matches!(error, AuthenticationError::DeadlineExceeded)
                && call.token.freshness(tokio::time::Instant::now()) == Freshness::LooksRunOut => {}
        Err(error) => return Ok(response_of(error)),
    }
    if let Err(error) = call.shorten_timeout() {
        return Ok(response_of(error));
    }
    let response = match call.send(body).await {
        Ok(response) => response,
        Err(error) => return failure(error),
    };
    let mut seen = Some((call, response));
    let seen = poll_fn(|cx| {
        let (call, response) = seen.take().expect("polled once: the answer is always ready");
        Poll::Ready(look(call, response, cx))
    })
    .await;
    match seen {
        Seen::Answer(response) => Ok(response),
        Seen::Refusal(call, verdict, refusal) => recover(call, verdict, refusal).await,
    }
}

/// Answers a refusal: by the call's replay with a newer token, or by an error that says why not.
pub(super) async fn recover<S>(
    mut call: Box<Call<S>>,
    verdict: Verdict,
    refusal: Response<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    call.token.refuse();
    let why_not = if !may_replay(verdict, call.shared.policy.replay_foreign, call.is_idempotent()) {
        Some("no proof that nothing was done")
    } else if call.is_replayable() {
        None
    } else {
        Some("the request is larger than the replay cap")
    };
    if let Some(reason) = why_not {
        // The next calls profit all the same.
        call.shared.renew_early(call.token.generation);
        return Ok(not_replayed(refusal, reason));
    }
    let (shared, failed) = (Arc::clone(&call.shared), call.token.generation);
    let renewed = in_time(call.deadline, shared.renew(failed, Cause::Outdated)).await;
    match renewed {
        Ok(landing) if call.token.same_session(&landing.token) => call.token = landing.token,
        Ok(_) => return Ok(not_replayed(refusal, "the session has been left")),
        Err(error) => return Ok(response_of(error)),
    }
    // While the refresh went on, a request that was still streaming may have outgrown the cap.
    let Ok(body) = call.replay_body() else {
        return Ok(not_replayed(refusal, "the request is larger than the replay cap"));
    };
    drop(refusal);
    tracing::debug!(?call, generation = call.token.generation, "replaying the call");
    replay(call, body).await
}

async fn replay<S>(mut call: Box<Call<S>>, body: Body) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    let deadline = call.deadline;
    let ready = call.ready();
    let ready = match deadline {
        None => ready.await,
        Some(deadline) => match tokio::time::timeout_at(deadline, ready).await {
            Ok(ready) => ready,
            Err(_) => return Ok(response_of(AuthenticationError::DeadlineExceeded)),
        },
    };
    if let Err(error) = ready {
        return failure(error);
    }
    if let Err(error) = call.shorten_timeout() {
        return Ok(response_of(error));
    }
    let mut response = match call.send(body).await {
        Ok(response) => response,
        Err(error) => return failure(error),
    };
    match verdict(response.headers()) {
        Some(Verdict::Accepted) => call.token.accept(),
        Some(Verdict::Refused | Verdict::RefusedForeign) => call.token.refuse(),
        Some(Verdict::Unknown) => correct_timeout(response.headers_mut()),
        None => return Ok(response.map(|body| Body::new(Watched::<S>::last(body, &call)))),
    }
    Ok(response)
}

/// The refusal itself, with a word for whoever wonders.
fn not_replayed(mut refusal: Response<Body>, reason: &'static str) -> Response<Body> {
    tracing::debug!(reason, "the call is not replayed");
    refusal.headers_mut().insert(NOT_REPLAYED, HeaderValue::from_static(reason));
    refusal
}

/// Metadata of a refusal that the layer did not recover from.
pub(super) const NOT_REPLAYED: &str = "evergreen-not-replayed";
