//! The first answer to a call: passed on, watched, or recovered from.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use tonic::body::Body;
use tower_service::Service;

use super::{
    attempt::{BoxError, Call, failure, in_time, response_of},
    body::Watched,
    classify::{Verdict, correct_timeout, verdict},
    recovery,
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

/// Answers a refusal; the body of a replay's answer goes on being watched.
pub(super) async fn recover<S>(
    call: Box<Call<S>>,
    verdict: Verdict,
    refusal: Response<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    let shared = Arc::clone(&call.shared);
    let recovered = recovery::recover(call, verdict, refusal).await?;
    Ok(match recovered.pending {
        None => recovered.response,
        Some(token) => {
            recovered.response.map(|body| Body::new(Watched::<S>::last(body, shared, token)))
        }
    })
}

/// Gets a token first, then makes the call.
pub(super) async fn renew_then_send<S>(
    mut call: Call<S>,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    let (shared, failed) = (Arc::clone(&call.shared), call.token.generation);
    let renewal = call.trace.scope(shared.renew(failed, Cause::Outdated));
    let renewed = in_time(call.deadline, renewal).await;
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
    let response = match call.send_when_ready(request).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return failure(error),
        Err(error) => return Ok(response_of(error)),
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
