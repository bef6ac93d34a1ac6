//! AdminService.

use std::sync::Arc;

use evergreen_proto::auth::v1::{self as pb, admin_service_server::AdminService};
use secrecy::ExposeSecret as _;
use tonic::{Request, Response, Status};
use transport::{observe::Notes, status::field_invalid};

use crate::{
    app::{Administrator, App, EventRequest, PageRequest},
    domain::{
        audit::{Actor, EventKind},
        id::{ServiceId, SessionId, UserId},
        listing::EventFilter,
        service_account::Overlap,
        user::{LastAdmin, Status as AccountStatus, roles_of},
    },
    rpc::{
        convert::{self, std_duration},
        metadata::{access_token, origin},
        status::to_status,
    },
};

/// Serves the use cases of [`App`] that are for administrators.
#[derive(Clone, Debug)]
pub(crate) struct AdminRpc {
    app: Arc<App>,
}

impl AdminRpc {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn admin<T>(&self, request: &Request<T>) -> Result<Administrator, Status> {
        let caller = self.app.authenticate_admin(access_token(request)?).await;
        let account = caller.map_err(to_status)?.account();
        Notes::of(request).account(account.uuid().to_string());
        let actor = Actor::Account(account);
        Ok(Administrator { actor, origin: origin(request) })
    }
}

/// The user that a request names.
fn user(user_id: &str) -> Result<UserId, Status> {
    user_id.parse().map(UserId).map_err(|_| {
        field_invalid("user_id", "must be a user_id as GetCurrentUser shows it (a UUID)")
    })
}

/// The service that a request names.
fn service_id(client_id: &str) -> Result<ServiceId, Status> {
    client_id.parse().map(ServiceId).map_err(|_| {
        field_invalid("client_id", "must be a client_id as CreateServiceAccount gave it (a UUID)")
    })
}

/// The status of users that a request asks for, if it is one.
fn status_of(asked: i32) -> Result<Option<AccountStatus>, Status> {
    match pb::list_users_request::Status::try_from(asked) {
        Ok(pb::list_users_request::Status::Unspecified) => Ok(None),
        Ok(pb::list_users_request::Status::Active) => Ok(Some(AccountStatus::Active)),
        Ok(pb::list_users_request::Status::Disabled) => Ok(Some(AccountStatus::Disabled)),
        Err(_) => Err(field_invalid("status", "must be STATUS_ACTIVE, STATUS_DISABLED or nothing")),
    }
}

/// What a field of a filter says, if it says something.
fn given<T>(
    field: &'static str,
    text: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    mend: impl FnOnce() -> String,
) -> Result<Option<T>, Status> {
    match text {
        "" => Ok(None),
        text => parse(text).map(Some).ok_or_else(|| field_invalid(field, mend())),
    }
}

/// Which events a request asks for.
fn events_of(request: &pb::ListAuditEventsRequest) -> Result<EventRequest, Status> {
    let kinds = || {
        let kinds: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("must be one of {}", kinds.join(", "))
    };
    let account = || "must be a user_id or a client_id (a UUID)".to_owned();
    let session = || "must be a session_id (a UUID)".to_owned();
    let uuid = |text: &str| text.parse().ok();
    let instant = |field, time: Option<prost_types::Timestamp>| match time.map(convert::instant) {
        Some(None) => Err(field_invalid(field, "must be a time that there can be")),
        time => Ok(time.flatten()),
    };
    Ok(EventRequest {
        filter: EventFilter {
            kind: given("kind", &request.kind, EventKind::parse, kinds)?,
            account: given("account_id", &request.account_id, uuid, account)?,
            session: given("session_id", &request.session_id, uuid, session)?.map(SessionId),
            since: instant("since", request.since)?,
        },
        until: instant("until", request.until)?,
    })
}

#[tonic::async_trait]
impl AdminService for AdminRpc {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let by = self.admin(&request).await?;
        let pb::CreateUserRequest { username, password, roles } = request.into_inner();
        let roles = roles_of(&roles).map_err(|mend| field_invalid("roles", mend))?;
        let made = self.app.add_user(by, &username, password, roles).await.map_err(to_status)?;
        Ok(Response::new(pb::CreateUserResponse { user: Some(convert::user_account(made)) }))
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        let by = self.admin(&request).await?;
        let pb::ListUsersRequest { page_size, page_token, username_prefix, status } =
            request.into_inner();
        let status = status_of(status)?;
        let page = PageRequest { size: page_size, token: &page_token };
        let page = self.app.list_users(by, page, &username_prefix, status).await;
        let page = page.map_err(to_status)?;
        Ok(Response::new(pb::ListUsersResponse {
            users: page.items.into_iter().map(convert::user_account).collect(),
            next_page_token: page.next_token,
        }))
    }

    async fn set_user_roles(
        &self,
        request: Request<pb::SetUserRolesRequest>,
    ) -> Result<Response<pb::SetUserRolesResponse>, Status> {
        let by = self.admin(&request).await?;
        let pb::SetUserRolesRequest { user_id, roles } = request.into_inner();
        let user = user(&user_id)?;
        let roles = roles_of(&roles).map_err(|mend| field_invalid("roles", mend))?;
        let set = self.app.set_user_roles(by, user, &roles, LastAdmin::Stays).await;
        set.map_err(to_status)?;
        Ok(Response::new(pb::SetUserRolesResponse {}))
    }

    async fn disable_user(
        &self,
        request: Request<pb::DisableUserRequest>,
    ) -> Result<Response<pb::DisableUserResponse>, Status> {
        let by = self.admin(&request).await?;
        let user = user(&request.into_inner().user_id)?;
        let disabled = AccountStatus::Disabled;
        let set = self.app.set_user_status(by, user, disabled, LastAdmin::Stays).await;
        set.map_err(to_status)?;
        Ok(Response::new(pb::DisableUserResponse {}))
    }

    async fn enable_user(
        &self,
        request: Request<pb::EnableUserRequest>,
    ) -> Result<Response<pb::EnableUserResponse>, Status> {
        let by = self.admin(&request).await?;
        let user = user(&request.into_inner().user_id)?;
        let active = AccountStatus::Active;
        let set = self.app.set_user_status(by, user, active, LastAdmin::Stays).await;
        set.map_err(to_status)?;
        Ok(Response::new(pb::EnableUserResponse {}))
    }

    async fn unlock_user(
        &self,
        request: Request<pb::UnlockUserRequest>,
    ) -> Result<Response<pb::UnlockUserResponse>, Status> {
        let by = self.admin(&request).await?;
        let user = user(&request.into_inner().user_id)?;
        self.app.unlock_user(by, user).await.map_err(to_status)?;
        Ok(Response::new(pb::UnlockUserResponse {}))
    }

    async fn create_service_account(
        &self,
        request: Request<pb::CreateServiceAccountRequest>,
    ) -> Result<Response<pb::CreateServiceAccountResponse>, Status> {
        let by = self.admin(&request).await?;
        let pb::CreateServiceAccountRequest { name, roles } = request.into_inner();
        let roles = roles_of(&roles).map_err(|mend| field_invalid("roles", mend))?;
        let made = self.app.create_service(by, &name, roles).await.map_err(to_status)?;
        Ok(Response::new(pb::CreateServiceAccountResponse {
            client_id: made.id.to_string(),
            client_secret: made.secret.into_inner().expose_secret().to_owned(),
        }))
    }

    async fn rotate_service_secret(
        &self,
        request: Request<pb::RotateServiceSecretRequest>,
    ) -> Result<Response<pb::RotateServiceSecretResponse>, Status> {
        let by = self.admin(&request).await?;
        let pb::RotateServiceSecretRequest { client_id, overlap } = request.into_inner();
        let overlap = match overlap {
            None => Overlap::DEFAULT,
            Some(given) => std_duration(given)
                .ok_or("must not be negative")
                .and_then(Overlap::new)
                .map_err(|mend| field_invalid("overlap", mend))?,
        };
        let secret = self.app.rotate_service_secret(by, service_id(&client_id)?, overlap).await;
        let client_secret = secret.map_err(to_status)?.into_inner().expose_secret().to_owned();
        Ok(Response::new(pb::RotateServiceSecretResponse { client_secret }))
    }

    async fn disable_service_account(
        &self,
        request: Request<pb::DisableServiceAccountRequest>,
    ) -> Result<Response<pb::DisableServiceAccountResponse>, Status> {
        let by = self.admin(&request).await?;
        let id = service_id(&request.into_inner().client_id)?;
        let set = self.app.set_service_status(by, id, AccountStatus::Disabled).await;
        set.map_err(to_status)?;
        Ok(Response::new(pb::DisableServiceAccountResponse {}))
    }

    async fn enable_service_account(
        &self,
        request: Request<pb::EnableServiceAccountRequest>,
    ) -> Result<Response<pb::EnableServiceAccountResponse>, Status> {
        let by = self.admin(&request).await?;
        let id = service_id(&request.into_inner().client_id)?;
        let set = self.app.set_service_status(by, id, AccountStatus::Active).await;
        set.map_err(to_status)?;
        Ok(Response::new(pb::EnableServiceAccountResponse {}))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<pb::RotateSigningKeyRequest>,
    ) -> Result<Response<pb::RotateSigningKeyResponse>, Status> {
        let by = self.admin(&request).await?;
        let rotated = match request.into_inner().compromised_kid.as_str() {
            "" => self.app.rotate_signing_key(by).await,
            known => self.app.withdraw_signing_key(by, known).await,
        };
        let key = Some(convert::signing_key(rotated.map_err(to_status)?));
        Ok(Response::new(pb::RotateSigningKeyResponse { key }))
    }

    async fn list_signing_keys(
        &self,
        request: Request<pb::ListSigningKeysRequest>,
    ) -> Result<Response<pb::ListSigningKeysResponse>, Status> {
        self.admin(&request).await?;
        let stored = self.app.list_signing_keys().await.map_err(to_status)?;
        let keys = stored.into_iter().map(convert::signing_key).collect();
        Ok(Response::new(pb::ListSigningKeysResponse { keys }))
    }

    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        let by = self.admin(&request).await?;
        let request = request.into_inner();
        let events = events_of(&request)?;
        let page = PageRequest { size: request.page_size, token: &request.page_token };
        let page = self.app.list_events(by, page, &events).await.map_err(to_status)?;
        Ok(Response::new(pb::ListAuditEventsResponse {
            events: page.items.into_iter().map(convert::audit_event).collect(),
            next_page_token: page.next_token,
        }))
    }
}
