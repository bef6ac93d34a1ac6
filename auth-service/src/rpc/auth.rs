//! AuthService.

use std::{sync::Arc, time::Duration};

use evergreen_proto::auth::v1::{self as pb, auth_service_server::AuthService};
use tonic::{Request, Response, Status};
use transport::{observe::Notes, status::field_invalid};

use crate::{
    app::{App, Authenticated, Issued, PageRequest, RefreshRequest},
    rpc::{
        convert,
        metadata::{
            access_token, after_superseded, deadline, idempotency_key, origin, refresh_token,
        },
        revocations,
        status::to_status,
    },
};

/// Serves the use cases of [`App`].
#[derive(Clone, Debug)]
pub(crate) struct AuthRpc {
    app: Arc<App>,
    request_life: Duration,
}

impl AuthRpc {
    pub(crate) fn new(app: Arc<App>, request_life: Duration) -> Self {
        Self { app, request_life }
    }

    async fn caller<T>(&self, request: &Request<T>) -> Result<Authenticated, Status> {
        let caller = self.app.authenticate(access_token(request)?).await.map_err(to_status)?;
        Notes::of(request).account(caller.user_id().to_string());
        Ok(caller)
    }

    /// The answer to a request that has begun a session, or kept one going.
    fn tokens(notes: &Notes, issued: &Issued) -> Option<pb::TokenPair> {
        notes.account(issued.user.to_string());
        Some(convert::token_pair(issued))
    }
}

#[tonic::async_trait]
impl AuthService for AuthRpc {
    type WatchRevocationsStream = revocations::RevocationStream;

    async fn register(
        &self,
        request: Request<pb::RegisterRequest>,
    ) -> Result<Response<pb::RegisterResponse>, Status> {
        let (origin, notes) = (origin(&request), Notes::of(&request));
        let pb::RegisterRequest { username, password } = request.into_inner();
        let issued = self.app.register(&username, password, origin).await.map_err(to_status)?;
        let tokens = Self::tokens(&notes, &issued);
        Ok(Response::new(pb::RegisterResponse { tokens }))
    }

    async fn login(
        &self,
        request: Request<pb::LoginRequest>,
    ) -> Result<Response<pb::LoginResponse>, Status> {
        let (origin, notes) = (origin(&request), Notes::of(&request));
        let pb::LoginRequest { username, password, device_name } = request.into_inner();
        let issued = self.app.login(&username, password, device_name, origin).await;
        let tokens = Self::tokens(&notes, &issued.map_err(to_status)?);
        Ok(Response::new(pb::LoginResponse { tokens }))
    }

    async fn refresh(
        &self,
        request: Request<pb::RefreshRequest>,
    ) -> Result<Response<pb::RefreshResponse>, Status> {
        let refresh = RefreshRequest {
            token: refresh_token(&request)?,
            key: idempotency_key(&request)?,
            after_superseded: after_superseded(&request)?,
            deadline: deadline(&request, self.app.clock.now(), self.request_life),
            origin: origin(&request),
        };
        let issued = self.app.refresh(refresh).await.map_err(to_status)?;
        let tokens = Self::tokens(&Notes::of(&request), &issued);
        Ok(Response::new(pb::RefreshResponse { tokens }))
    }

    async fn logout(
        &self,
        request: Request<pb::LogoutRequest>,
    ) -> Result<Response<pb::LogoutResponse>, Status> {
        let origin = origin(&request);
        self.app.logout(access_token(&request)?, origin).await.map_err(to_status)?;
        Ok(Response::new(pb::LogoutResponse {}))
    }

    async fn get_current_user(
        &self,
        request: Request<pb::GetCurrentUserRequest>,
    ) -> Result<Response<pb::GetCurrentUserResponse>, Status> {
        let caller = self.caller(&request).await?;
        let current = self.app.current_user(&caller).await.map_err(to_status)?;
        Ok(Response::new(convert::current_user(current)))
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> Result<Response<pb::ChangePasswordResponse>, Status> {
        let caller = self.caller(&request).await?;
        let origin = origin(&request);
        let pb::ChangePasswordRequest { old_password, new_password } = request.into_inner();
        let changed = self.app.change_password(&caller, old_password, new_password, origin).await;
        changed.map_err(to_status)?;
        Ok(Response::new(pb::ChangePasswordResponse {}))
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let caller = self.caller(&request).await?;
        let pb::ListSessionsRequest { page_size, page_token } = request.into_inner();
        let page = PageRequest { size: page_size, token: &page_token };
        let page = self.app.list_sessions(&caller, page).await.map_err(to_status)?;
        Ok(Response::new(convert::session_page(page, caller.session_id())))
    }

    async fn revoke_session(
        &self,
        request: Request<pb::RevokeSessionRequest>,
    ) -> Result<Response<pb::RevokeSessionResponse>, Status> {
        let caller = self.caller(&request).await?;
        let origin = origin(&request);
        let session = request.into_inner().session_id;
        self.app.revoke_session(&caller, &session, origin).await.map_err(to_status)?;
        Ok(Response::new(pb::RevokeSessionResponse {}))
    }

    async fn revoke_all_sessions(
        &self,
        request: Request<pb::RevokeAllSessionsRequest>,
    ) -> Result<Response<pb::RevokeAllSessionsResponse>, Status> {
        let caller = self.caller(&request).await?;
        let revoked =
            self.app.revoke_all_sessions(&caller, origin(&request)).await.map_err(to_status)?;
        let revoked_count = i32::try_from(revoked).unwrap_or(i32::MAX);
        Ok(Response::new(pb::RevokeAllSessionsResponse { revoked_count }))
    }

    async fn get_jwks(
        &self,
        _: Request<pb::GetJwksRequest>,
    ) -> Result<Response<pb::GetJwksResponse>, Status> {
        let (keys, max_age) = self.app.published_keys().await;
        Ok(Response::new(convert::jwks(&keys, max_age)))
    }

    async fn login_service(
        &self,
        request: Request<pb::LoginServiceRequest>,
    ) -> Result<Response<pb::LoginServiceResponse>, Status> {
        let (origin, notes) = (origin(&request), Notes::of(&request));
        let pb::LoginServiceRequest { client_id, client_secret } = request.into_inner();
        let issued = self.app.login_service(&client_id, client_secret, origin).await;
        let issued = issued.map_err(to_status)?;
        // It is one, since its secret was right; what was typed before might be anything.
        notes.account(client_id);
        Ok(Response::new(convert::service_token(&issued)))
    }

    async fn introspect_token(
        &self,
        request: Request<pb::IntrospectTokenRequest>,
    ) -> Result<Response<pb::IntrospectTokenResponse>, Status> {
        let service = self.app.authenticate_service(access_token(&request)?).await;
        Notes::of(&request).account(service.map_err(to_status)?.account.id.to_string());
        let token = request.into_inner().token;
        if token.is_empty() {
            return Err(field_invalid("token", "must be the token to be introspected"));
        }
        let active = self.app.introspect(&token).await.map_err(to_status)?;
        Ok(Response::new(active.map(convert::introspected).unwrap_or_default()))
    }

    async fn watch_revocations(
        &self,
        request: Request<pb::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let service = self.app.authenticate_service(access_token(&request)?).await;
        let service = service.map_err(to_status)?;
        Notes::of(&request).account(service.account.id.to_string());
        let (store, clock) = (Arc::clone(&self.app.store), Arc::clone(&self.app.clock));
        let cursor = request.into_inner().cursor;
        let following = self.app.revocations.follow(&cursor, service, store, clock);
        Ok(Response::new(revocations::stream(following.map_err(to_status)?)))
    }
}
