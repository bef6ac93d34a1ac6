//! What becomes of a refused call: a newer token and the one replay, or the reason why not.

use std::sync::Arc;

use http::{HeaderValue, Request, Response};
use tonic::body::Body;
use tower_service::Service;

use super::{
    attempt::{BoxError, Call, failure, in_time, response_of},
    classify::{Verdict, correct_timeout, may_replay, verdict},
};
use crate::{flight::Cause, session::Token, telemetry};

/// The answer to a refused call.
pub(super) struct Recovered {
    pub(super) response: Response<Body>,
    /// Set if it is the head of a replay's answer, whose trailers are still to come: what they say
    /// is said of this token.
    pub(super) pending: Option<Arc<Token>>,
}

impl Recovered {
    const fn settled(response: Response<Body>) -> Self {
        Self { response, pending: None }
    }
}

/// Answers a refusal: by the call's replay with a newer token, or by an error that says why not.
pub(super) async fn recover<S>(
    mut call: Box<Call<S>>,
    verdict: Verdict,
    refusal: Response<Body>,
) -> Result<Recovered, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    call.token.refuse();
    let why_not = if !may_replay(verdict, call.shared.policy.replay_foreign, call.is_idempotent()) {
        Some(Declined::NoProof)
    } else if call.is_replayable() {
        None
    } else {
        Some(Declined::TooLarge)
    };
    if let Some(declined) = why_not {
        // The next calls profit all the same.
        call.trace.enter(|| call.shared.renew_early(call.token.generation));
        return Ok(Recovered::settled(declined.explain(refusal)));
    }
    let (shared, failed) = (Arc::clone(&call.shared), call.token.generation);
    let renewal = call.trace.scope(shared.renew(failed, Cause::Outdated));
    let renewed = in_time(call.deadline, renewal).await;
    match renewed {
        Ok(landing) if call.token.same_session(&landing.token) => call.token = landing.token,
        Ok(_) => return Ok(Recovered::settled(Declined::SessionLeft.explain(refusal))),
        Err(error) => return Ok(Recovered::settled(response_of(error))),
    }
    // While the refresh went on, a request that was still streaming may have outgrown the cap.
    let Ok(request) = call.again() else {
        return Ok(Recovered::settled(Declined::TooLarge.explain(refusal)));
    };
    drop(refusal);
    tracing::debug!(?call, generation = call.token.generation, "replaying the call");
    telemetry::replayed();
    replay(call, request).await
}

async fn replay<S>(mut call: Box<Call<S>>, request: Request<Body>) -> Result<Recovered, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    let mut response = match call.send_when_ready(request).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return failure(error).map(Recovered::settled),
        Err(error) => return Ok(Recovered::settled(response_of(error))),
    };
    let token = call.token;
    match verdict(response.headers()) {
        Some(Verdict::Accepted) => token.accept(),
        Some(Verdict::Refused | Verdict::RefusedForeign) => token.refuse(),
        Some(Verdict::Unknown) => correct_timeout(response.headers_mut()),
        None => return Ok(Recovered { response, pending: Some(token) }),
    }
    Ok(Recovered::settled(response))
}

/// Why a refused call is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declined {
    NoProof,
    SessionLeft,
    TooLarge,
}

impl Declined {
    /// The refusal itself, with a word for whoever wonders.
    fn explain(self, mut refusal: Response<Body>) -> Response<Body> {
        let reason = match self {
            Self::NoProof => "no proof that nothing was done",
            Self::SessionLeft => "the session has been left",
            Self::TooLarge => "the request is larger than the replay cap",
        };
        tracing::debug!(reason, "the call is not replayed");
        telemetry::not_replayed(match self {
            Self::NoProof => "no_proof",
            Self::SessionLeft => "session_left",
            Self::TooLarge => "too_large",
        });
        refusal.headers_mut().insert(NOT_REPLAYED, HeaderValue::from_static(reason));
        refusal
    }
}

/// Metadata of a refusal that the layer did not recover from.
const NOT_REPLAYED: &str = "evergreen-not-replayed";
