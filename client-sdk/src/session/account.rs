//! What a session asks of AuthService besides `Refresh`.

use std::{future::Future, sync::Arc};

use evergreen_proto::auth::v1::{self as pb, auth_service_client::AuthServiceClient};
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{Code, Response, Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::{Identity, Session};
use crate::{
    AuthenticationError, Reauth, TokenPair, error::DOMAIN, flight::Backoff, refresher::bearer,
    trace::stamped,
};

impl Session {
    /// Proves a password and signs in.
    ///
    /// # Errors
    ///
    /// [`Service`](AuthenticationError::Service) with AuthService's status, whose
    /// [`reason`](AuthenticationError::reason) is `INVALID_CREDENTIALS` for a wrong password or an
    /// unknown user. It is not repeated: a login that got through without an answer has started a
    /// session that nobody uses.
    pub async fn login(
        &self,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Result<(), AuthenticationError> {
        self.refuse_sign_in()?;
        let request = pb::LoginRequest {
            username: username.into(),
            password: password.into().expose_secret().to_owned(),
            device_name: self.shared.policy.device_name.clone(),
        };
        let mut client = self.account_client()?;
        let answer = self.ask(client.login(stamped(request))).await?;
        self.sign_in_with(answer.into_inner().tokens).await
    }

    /// Creates a user and signs in.
    ///
    /// # Errors
    ///
    /// [`Service`](AuthenticationError::Service) with AuthService's status, whose
    /// [`reason`](AuthenticationError::reason) is `USERNAME_TAKEN` or `REGISTRATION_CLOSED`, or
    /// whose details name the bad field.
    pub async fn register(
        &self,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Result<(), AuthenticationError> {
        self.refuse_sign_in()?;
        let request = pb::RegisterRequest {
            username: username.into(),
            password: password.into().expose_secret().to_owned(),
        };
        let mut client = self.account_client()?;
        let answer = self.ask(client.register(stamped(request))).await?;
        self.sign_in_with(answer.into_inner().tokens).await
    }

    /// Asks AuthService who the session speaks for, and so whether it still stands. A run-out access
    /// token is renewed on the way.
    ///
    /// # Errors
    ///
    /// As a call's.
    pub async fn verify(&self) -> Result<Identity, AuthenticationError> {
        let mut client = AuthServiceClient::new(self.auth_channel()?);
        let answer = self.ask(client.get_current_user(pb::GetCurrentUserRequest {})).await?;
        let pb::GetCurrentUserResponse { user, session_id } = answer.into_inner();
        let user = user.unwrap_or_default();
        Ok(Identity {
            user_id: user.user_id,
            username: user.username,
            roles: user.roles,
            session_id,
        })
    }

    /// Replaces the user's password. This session goes on, the user's others end.
    ///
    /// # Errors
    ///
    /// [`Service`](AuthenticationError::Service) with the reason `INVALID_CREDENTIALS` if
    /// `old_password` is wrong.
    pub async fn change_password(
        &self,
        old_password: impl Into<SecretString>,
        new_password: impl Into<SecretString>,
    ) -> Result<(), AuthenticationError> {
        let request = pb::ChangePasswordRequest {
            old_password: old_password.into().expose_secret().to_owned(),
            new_password: new_password.into().expose_secret().to_owned(),
        };
        let mut client = AuthServiceClient::new(self.auth_channel()?);
        self.ask(client.change_password(request)).await?;
        Ok(())
    }

    /// The connection to AuthService, authenticated as this session: for the stubs of `AuthService`
    /// and of whatever else its server offers.
    ///
    /// # Errors
    ///
    /// [`Configuration`](AuthenticationError::Configuration) if the session has another issuer.
    pub fn auth_channel(&self) -> Result<Reauth<Channel>, AuthenticationError> {
        use tower_layer::Layer as _;
        Ok(self.layer().layer(self.bare_channel()?))
    }

    fn bare_channel(&self) -> Result<Channel, AuthenticationError> {
        self.shared.auth.clone().ok_or_else(|| AuthenticationError::Configuration {
            message: "the session has no AuthService".to_owned(),
        })
    }

    fn account_client(&self) -> Result<AuthServiceClient<Channel>, AuthenticationError> {
        Ok(AuthServiceClient::new(self.bare_channel()?))
    }

    async fn sign_in_with(&self, pair: Option<pb::TokenPair>) -> Result<(), AuthenticationError> {
        let pair = pair
            .filter(|pair| !pair.access_token.is_empty())
            .ok_or_else(|| service_error(Status::internal("the answer holds no tokens")))?;
        let pair = TokenPair::from(pair)
            .admit()
            .map_err(|e| service_error(Status::internal(format!("answered a token that {e}"))))?;
        self.sign_in(pair).await;
        Ok(())
    }

    async fn ask<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Response<T>, AuthenticationError> {
        match tokio::time::timeout(self.shared.policy.budget, call).await {
            Ok(answer) => answer.map_err(service_error),
            Err(_) => Err(AuthenticationError::DeadlineExceeded),
        }
    }

    /// Repeats `Logout` until it is answered or the budget is spent.
    pub(super) async fn tell_logout(&self, pair: &TokenPair) -> Result<(), AuthenticationError> {
        let Ok(mut client) = self.account_client() else { return Ok(()) };
        let proof = match pair.refresh_token.expose_secret() {
            "" => &pair.access_token,
            _ => &pair.refresh_token,
        };
        let proof = bearer(proof.expose_secret())
            .map_err(|message| AuthenticationError::Configuration { message })?;
        let policy = &self.shared.policy;
        let mut backoff = Backoff::new(policy.budget, Arc::clone(&self.shared.entropy));
        loop {
            let mut request = stamped(pb::LogoutRequest {});
            request.metadata_mut().insert("authorization", proof.clone());
            let limit = backoff.remaining().min(policy.attempt_timeout);
            let status = match tokio::time::timeout(limit, client.logout(request)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer"),
            };
            let details = status.get_error_details();
            // The token service's own refusal means that there is no session to end.
            if status.code() == Code::Unauthenticated
                && details.error_info().is_some_and(|info| info.domain == DOMAIN)
            {
                return Ok(());
            }
            let asked = details.retry_info().and_then(|info| info.retry_delay);
            if !backoff.wait(asked).await {
                return Err(AuthenticationError::Unreachable {
                    message: format!("{}: {}", status.code().description(), status.message()),
                    retry_after: asked.unwrap_or(policy.cool_down),
                });
            }
        }
    }
}

/// What the layer said comes back as what it was; the rest is AuthService's answer.
fn service_error(status: Status) -> AuthenticationError {
    AuthenticationError::from_status(&status)
        .unwrap_or_else(|| AuthenticationError::Service(Arc::new(status)))
}
