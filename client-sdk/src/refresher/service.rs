//! The refresher of a service account.

use std::fmt;

use evergreen_proto::auth::v1::{self as pb, auth_service_client::AuthServiceClient};
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{Code, Status, body::Body, codegen::StdError, transport::Channel};
use tonic_types::StatusExt as _;

use super::{
    RefreshFuture, RefreshRequest, Refresher, Renewal,
    auth_service::{reason, unreachable},
};
use crate::{TokenPair, trace::stamped};

/// Logs a service in anew for each access token, with its client id and secret, over a transport of
/// its own. There is no refresh token (RFC 6749 section 4.4.3).
///
/// [`Session::service`](crate::Session::service) makes one by itself; it is here for a transport
/// that is no [`Channel`], by way of
/// [`Session::with_credentials`](crate::Session::with_credentials).
#[derive(Clone)]
pub struct ServiceRefresher<T = Channel> {
    client: AuthServiceClient<T>,
    client_id: String,
    client_secret: SecretString,
}

impl<T> ServiceRefresher<T>
where
    T: tonic::client::GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    /// A refresher over `transport`, which must be bare.
    pub fn new(
        transport: T,
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
    ) -> Self {
        Self {
            client: AuthServiceClient::new(transport),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
        }
    }
}

impl<T> fmt::Debug for ServiceRefresher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceRefresher")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl<T> Refresher for ServiceRefresher<T>
where
    T: tonic::client::GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<StdError>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    fn refresh(&self, _: RefreshRequest) -> RefreshFuture<'_> {
        let mut client = self.client.clone();
        Box::pin(async move {
            let request = stamped(pb::LoginServiceRequest {
                client_id: self.client_id.clone(),
                client_secret: self.client_secret.expose_secret().to_owned(),
            });
            match client.login_service(request).await {
                Ok(response) => renewed(response.into_inner()),
                Err(status) => outcome(&status),
            }
        })
    }
}

fn renewed(answer: pb::LoginServiceResponse) -> Renewal {
    Renewal::Renewed(TokenPair::from(pb::TokenPair {
        access_token: answer.access_token,
        token_type: answer.token_type,
        access_expires_in: answer.access_expires_in,
        refresh_after: answer.refresh_after,
        ..Default::default()
    }))
}

/// Only the token service's own word about the account is a rejection.
fn outcome(status: &Status) -> Renewal {
    let details = status.get_error_details();
    match (status.code(), reason(&details)) {
        (Code::Unauthenticated, Some(reason @ "INVALID_CREDENTIALS"))
        | (Code::PermissionDenied, Some(reason @ "ACCOUNT_DISABLED")) => {
            Renewal::Rejected { reason: reason.to_owned() }
        }
        _ => unreachable(status, &details),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, time::Duration};

    use tonic_types::ErrorDetails;

    use super::*;
    use crate::error::DOMAIN;

    fn status(code: Code, domain: &str, reason: &str) -> Status {
        let mut details = ErrorDetails::with_error_info(reason, domain, HashMap::new());
        details.set_retry_info(Some(Duration::from_secs(9)));
        Status::with_error_details(code, "text", details)
    }

    #[test]
    fn only_a_word_about_the_account_is_a_rejection() {
        for (code, reason) in [
            (Code::Unauthenticated, "INVALID_CREDENTIALS"),
            (Code::PermissionDenied, "ACCOUNT_DISABLED"),
        ] {
            let answer = outcome(&status(code, DOMAIN, reason));
            assert!(matches!(answer, Renewal::Rejected { reason: r } if r == reason));
        }
        for transient in [
            Status::unauthenticated("a proxy"),
            Status::permission_denied("a proxy"),
            status(Code::Unauthenticated, "proxy.example", "INVALID_CREDENTIALS"),
            status(Code::PermissionDenied, DOMAIN, "INVALID_CREDENTIALS"),
            status(Code::Unauthenticated, DOMAIN, "SESSION_REVOKED"),
            Status::unimplemented("an older server"),
            Status::unavailable(""),
        ] {
            assert!(matches!(outcome(&transient), Renewal::Unreachable { .. }), "{transient:?}");
        }
    }

    #[test]
    fn retry_info_is_read() {
        let shed = status(Code::ResourceExhausted, DOMAIN, "OVERLOADED");
        assert!(matches!(
            outcome(&shed),
            Renewal::Unreachable { retry_after: Some(d), .. } if d == Duration::from_secs(9)
        ));
    }

    #[tokio::test]
    async fn debug_does_not_show_the_secret() {
        let channel = tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let refresher = ServiceRefresher::new(channel, "the-id", "the-secret");
        let shown = format!("{refresher:?}");
        assert!(shown.contains("the-id") && !shown.contains("the-secret"), "{shown}");
    }
}
