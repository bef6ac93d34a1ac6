//! What a response says about the token that its request carried.

use http::{HeaderMap, HeaderValue};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{ReplayForeign, error::DOMAIN};

/// Put into a request's extensions: sending it twice does no more than sending it once. It may then
/// be replayed even after an `UNAUTHENTICATED` that does not prove that nothing was done.
///
/// ```
/// let mut request = tonic::Request::new(());
/// request.extensions_mut().insert(client_sdk::Idempotent);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Idempotent;

/// What a status says about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A server took it.
    Accepted,
    /// Nothing: the call may never have got that far.
    Unknown,
    /// It was refused before the handler ran.
    Refused,
    /// It was refused, by somebody who does not say when.
    RefusedForeign,
}

/// Reads `grpc-status`; `None` if there is none.
pub(super) fn verdict(headers: &HeaderMap) -> Option<Verdict> {
    let code = Code::from_bytes(headers.get(GRPC_STATUS)?.as_bytes());
    Some(match code {
        Code::Ok
        | Code::Aborted
        | Code::AlreadyExists
        | Code::DataLoss
        | Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::NotFound
        | Code::OutOfRange
        | Code::PermissionDenied => Verdict::Accepted,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::ResourceExhausted
        | Code::Unavailable
        | Code::Unimplemented
        | Code::Unknown => Verdict::Unknown,
        Code::Unauthenticated => refusal(headers),
    })
}

/// The guard answers these reasons before a handler runs: the proof that nothing was done.
fn refusal(headers: &HeaderMap) -> Verdict {
    let status = Status::from_header_map(headers).unwrap_or_else(|| Status::unauthenticated(""));
    match status.get_error_details().error_info() {
        None => Verdict::RefusedForeign,
        Some(info) if info.domain != DOMAIN => Verdict::RefusedForeign,
        Some(info) if info.reason == "SESSION_REVOKED" => Verdict::Refused,
        Some(info) if info.reason.starts_with("ACCESS_TOKEN_") => Verdict::Refused,
        // A wrong old password, say: the token itself was good.
        Some(_) => Verdict::Accepted,
    }
}

/// Whether a refusal may be answered by sending the call again.
pub(super) fn may_replay(verdict: Verdict, policy: ReplayForeign, idempotent: bool) -> bool {
    match verdict {
        Verdict::Refused => true,
        Verdict::RefusedForeign => idempotent || policy == ReplayForeign::Always,
        Verdict::Accepted | Verdict::Unknown => false,
    }
}

/// A tonic server whose own timer has run out says `CANCELLED`; callers are promised
/// `DEADLINE_EXCEEDED`.
pub(super) fn correct_timeout(headers: &mut HeaderMap) {
    let cancelled = headers.get(GRPC_STATUS).is_some_and(|v| v == "1");
    if cancelled
        && Status::from_header_map(headers).is_some_and(|s| s.message() == "Timeout expired")
    {
        headers.insert(GRPC_STATUS, HeaderValue::from_static("4"));
    }
}

pub(super) const GRPC_STATUS: &str = "grpc-status";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn headers(code: Code, info: Option<(&str, &str)>) -> HeaderMap {
        let mut details = ErrorDetails::new();
        if let Some((domain, reason)) = info {
            details.set_error_info(reason, domain, HashMap::new());
        }
        let mut headers = HeaderMap::new();
        Status::with_error_details(code, "m", details).add_header(&mut headers).unwrap();
        headers
    }

    #[test]
    fn only_reasons_that_prove_that_nothing_was_done_are_refusals() {
        let of = |info| verdict(&headers(Code::Unauthenticated, info)).unwrap();
        assert_eq!(of(Some((DOMAIN, "ACCESS_TOKEN_EXPIRED"))), Verdict::Refused);
        assert_eq!(of(Some((DOMAIN, "SESSION_REVOKED"))), Verdict::Refused);
        assert_eq!(of(Some((DOMAIN, "INVALID_CREDENTIALS"))), Verdict::Accepted);
        assert_eq!(of(Some(("proxy", "ACCESS_TOKEN_EXPIRED"))), Verdict::RefusedForeign);
        assert_eq!(of(None), Verdict::RefusedForeign);
    }

    // Fault 39.
    #[test]
    fn a_call_that_is_not_idempotent_is_replayed_only_on_proof() {
        use ReplayForeign::{Always, IdempotentOnly};
        assert!(may_replay(Verdict::Refused, IdempotentOnly, false));
        assert!(!may_replay(Verdict::RefusedForeign, IdempotentOnly, false));
        assert!(may_replay(Verdict::RefusedForeign, IdempotentOnly, true));
        assert!(may_replay(Verdict::RefusedForeign, Always, false));
    }

    #[test]
    fn only_tonics_own_timeout_is_corrected() {
        let mut theirs = HeaderMap::new();
        Status::cancelled("Timeout expired").add_header(&mut theirs).unwrap();
        correct_timeout(&mut theirs);
        assert_eq!(theirs[GRPC_STATUS], "4");
        let mut other = HeaderMap::new();
        Status::cancelled("by the caller").add_header(&mut other).unwrap();
        correct_timeout(&mut other);
        assert_eq!(other[GRPC_STATUS], "1");
    }
}
