//! The refresher that speaks to Evergreen's AuthService.

use std::fmt;

use evergreen_proto::auth::v1::{self as pb, auth_service_client::AuthServiceClient};
use tonic::{
    Code, Request, Status, body::Body, codegen::StdError, metadata::MetadataValue,
    transport::Channel,
};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{RefreshFuture, RefreshRequest, Refresher, Renewal};
use crate::{error::DOMAIN, trace::stamped};

/// Calls `AuthService.Refresh` over a transport of its own, without the session's layer, so that it
/// cannot recurse. The refresh token travels in `authorization`; the access token does not travel
/// at all.
#[derive(Clone)]
pub struct AuthServiceRefresher<T = Channel> {
    client: AuthServiceClient<T>,
}

impl<T> AuthServiceRefresher<T>
where
    T: tonic::client::GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    /// A refresher over `transport`, which must be bare.
    pub fn new(transport: T) -> Self {
        Self { client: AuthServiceClient::new(transport) }
    }
}

impl<T> fmt::Debug for AuthServiceRefresher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthServiceRefresher").finish_non_exhaustive()
    }
}

impl<T> Refresher for AuthServiceRefresher<T>
where
    T: tonic::client::GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<StdError>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_> {
        let mut client = self.client.clone();
        Box::pin(async move {
            let request = match wire_request(&request) {
                Ok(request) => request,
                Err(message) => return Renewal::Unreachable { message, retry_after: None },
            };
            match client.refresh(request).await {
                Ok(response) => match response.into_inner().tokens {
                    Some(pair) if !pair.access_token.is_empty() => Renewal::Renewed(pair.into()),
                    _ => Renewal::Unreachable {
                        message: "the answer holds no tokens".to_owned(),
                        retry_after: None,
                    },
                },
                Err(status) => outcome(&status),
            }
        })
    }
}

fn wire_request(attempt: &RefreshRequest) -> Result<Request<pb::RefreshRequest>, String> {
    let mut request = stamped(pb::RefreshRequest {});
    let metadata = request.metadata_mut();
    metadata.insert("authorization", bearer(attempt.refresh_token())?);
    let mut key = MetadataValue::try_from(attempt.idempotency_key())
        .map_err(|_| "the idempotency key is not ASCII".to_owned())?;
    key.set_sensitive(true);
    metadata.insert("idempotency-key", key);
    if attempt.after_superseded() {
        metadata.insert("after-superseded", MetadataValue::from_static("1"));
    }
    Ok(request)
}

/// `Bearer <token>`, marked sensitive.
pub(crate) fn bearer(token: &str) -> Result<MetadataValue<tonic::metadata::Ascii>, String> {
    let text = zeroize::Zeroizing::new(format!("Bearer {token}"));
    let mut value =
        MetadataValue::try_from(text.as_str()).map_err(|_| "the token is not ASCII".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Only the token service's own word ends a session: a proxy's bare `UNAUTHENTICATED` does not.
fn outcome(status: &Status) -> Renewal {
    let details = status.get_error_details();
    match (status.code(), reason(&details)) {
        (Code::Unauthenticated, Some(reason))
            if reason == "SESSION_REVOKED" || reason.starts_with("REFRESH_TOKEN_") =>
        {
            Renewal::Rejected { reason: reason.to_owned() }
        }
        (Code::Aborted, Some("REFRESH_SUPERSEDED")) => Renewal::Superseded,
        _ => unreachable(status, &details),
    }
}

/// What AuthService itself gave as the reason.
pub(super) fn reason(details: &ErrorDetails) -> Option<&str> {
    let ours = details.error_info().filter(|info| info.domain == DOMAIN)?;
    Some(&ours.reason)
}

/// What is no answer to the attempt.
pub(super) fn unreachable(status: &Status, details: &ErrorDetails) -> Renewal {
    Renewal::Unreachable {
        message: format!("{}: {}", status.code().description(), status.message()),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use super::*;

    fn status(code: Code, domain: &str, reason: &str) -> Status {
        let mut details = ErrorDetails::with_error_info(reason, domain, HashMap::new());
        details.set_retry_info(Some(Duration::from_secs(9)));
        Status::with_error_details(code, "text", details)
    }

    #[test]
    fn only_the_token_service_own_word_is_a_rejection() {
        for reason in ["REFRESH_TOKEN_REUSED", "REFRESH_TOKEN_EXPIRED", "SESSION_REVOKED"] {
            let answer = outcome(&status(Code::Unauthenticated, DOMAIN, reason));
            assert!(matches!(answer, Renewal::Rejected { reason: r } if r == reason));
        }
        for transient in [
            Status::unauthenticated("a proxy"),
            status(Code::Unauthenticated, "proxy.example", "SESSION_REVOKED"),
            status(Code::Unauthenticated, DOMAIN, "INVALID_CREDENTIALS"),
            status(Code::PermissionDenied, DOMAIN, "SESSION_REVOKED"),
            Status::unavailable(""),
            Status::aborted(""),
        ] {
            assert!(matches!(outcome(&transient), Renewal::Unreachable { .. }), "{transient:?}");
        }
    }

    #[test]
    fn superseded_and_retry_info_are_read() {
        let superseded = status(Code::Aborted, DOMAIN, "REFRESH_SUPERSEDED");
        assert!(matches!(outcome(&superseded), Renewal::Superseded));
        let shed = status(Code::ResourceExhausted, DOMAIN, "OVERLOADED");
        assert!(matches!(
            outcome(&shed),
            Renewal::Unreachable { retry_after: Some(d), .. } if d == Duration::from_secs(9)
        ));
    }
}
