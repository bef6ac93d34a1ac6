//! Who sent a request, judged by what the database says now.

use token::{AccessClaims, Kind, clock::Timestamp};

use crate::{
    app::{context::App, error::AppError},
    domain::{
        id::{AccountId, ServiceId, SessionId, UserId},
        service_account::ServiceAccount,
        session::Session,
        user::{Role, Status},
    },
};

/// Who sent a request: the holder of a good access token.
#[derive(Debug)]
pub(crate) enum Caller {
    /// A service account by itself.
    Service(AuthenticatedService),
    /// A user, in a live session.
    User(Authenticated),
}

impl Caller {
    pub(crate) fn account(&self) -> AccountId {
        match self {
            Self::Service(service) => service.account.id.into(),
            Self::User(user) => user.user_id().into(),
        }
    }

    /// What they may do now.
    fn roles(&self) -> &[Role] {
        match self {
            Self::Service(service) => &service.account.roles,
            Self::User(user) => &user.session.holder.grants.roles,
        }
    }
}

/// A user who sent a request: the holder of a good access token of a live session.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) session: Session,
}

impl Authenticated {
    pub(crate) fn session_id(&self) -> SessionId {
        self.session.id
    }

    pub(crate) fn user_id(&self) -> UserId {
        self.session.user
    }
}

/// A service that sent a request: the holder of a good access token of an account that may act.
#[derive(Debug)]
pub(crate) struct AuthenticatedService {
    pub(crate) account: ServiceAccount,
    /// How many changes of its roles its token counts.
    pub(crate) roles_version: u32,
    /// When its token runs out.
    pub(crate) expires_at: Timestamp,
}

impl App {
    /// The user who holds this access token.
    ///
    /// A session without a row counts as run out, not as ended: a restored database has forgotten
    /// it, and the refresh that this answer causes brings it back.
    pub(crate) async fn authenticate(&self, token: &str) -> Result<Authenticated, AppError> {
        let claims = self.verify_access_token(token)?;
        users_only(&claims)?;
        self.live_session(&claims).await
    }

    /// The service that holds this access token.
    pub(crate) async fn authenticate_service(
        &self,
        token: &str,
    ) -> Result<AuthenticatedService, AppError> {
        let claims = self.verify_access_token(token)?;
        match claims.kind {
            Kind::Service => self.live_service(&claims).await,
            _ => Err(AppError::PermissionDenied(SERVICES_ONLY)),
        }
    }

    /// Who holds this access token, if they are an administrator now.
    pub(crate) async fn authenticate_admin(&self, token: &str) -> Result<Caller, AppError> {
        let claims = self.verify_access_token(token)?;
        let caller = match claims.kind {
            Kind::Service => Caller::Service(self.live_service(&claims).await?),
            _ => Caller::User(self.live_session(&claims).await?),
        };
        if caller.roles().contains(&Role::Admin) {
            Ok(caller)
        } else {
            Err(AppError::PermissionDenied("only an administrator may do this"))
        }
    }

    /// The session that a user's access token belongs to.
    pub(super) async fn live_session(
        &self,
        claims: &AccessClaims,
    ) -> Result<Authenticated, AppError> {
        let id = claims.sid.parse().map(SessionId).map_err(|_| AppError::AccessTokenInvalid)?;
        let (session, _) = self.store.session(id).await?;
        let session = session.ok_or(AppError::AccessTokenExpired)?;
        if session.is_live() {
            Ok(Authenticated { session })
        } else {
            Err(AppError::SessionRevoked)
        }
    }

    /// The account that a service's access token belongs to.
    pub(super) async fn live_service(
        &self,
        claims: &AccessClaims,
    ) -> Result<AuthenticatedService, AppError> {
        let id = claims.sub.parse().map(ServiceId).map_err(|_| AppError::AccessTokenInvalid)?;
        let roles_version = claims.roles_version;
        let account = judge_service(self.store.service(id).await?, roles_version)?;
        Ok(AuthenticatedService { account, roles_version, expires_at: claims.expires_at() })
    }
}

/// The account, if a token that counts so many changes of its roles is still good. A token from
/// before the last change counts as run out, as does one of an account that a restored database has
/// forgotten: logging in again tells the service what has become of it.
pub(super) fn judge_service(
    account: Option<ServiceAccount>,
    roles_version: u32,
) -> Result<ServiceAccount, AppError> {
    let account = account.ok_or(AppError::AccessTokenExpired)?;
    if account.status == Status::Disabled {
        Err(AppError::SessionRevoked)
    } else if roles_version < account.roles_version {
        Err(AppError::AccessTokenExpired)
    } else {
        Ok(account)
    }
}

/// Refuses the token of a service where only a user can be meant.
pub(super) fn users_only(claims: &AccessClaims) -> Result<(), AppError> {
    match claims.kind {
        Kind::Service => Err(AppError::PermissionDenied(USERS_ONLY)),
        _ => Ok(()),
    }
}

const SERVICES_ONLY: &str =
    "only a service account may do this: call with an access token from LoginService";
const USERS_ONLY: &str = "a service account has no user, password or sessions that this could be \
                          about: call with a user's access token";
