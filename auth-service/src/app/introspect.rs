//! What a token is worth, for services that cannot verify one themselves.

use token::{Kind, Nonce, clock::Timestamp, names_itself_refresh_token};

use crate::{
    app::{
        context::{App, CLIENT_ID},
        error::AppError,
    },
    domain::{
        id::SessionId,
        rotation::{self, Attempt, Decision, Presented},
        user::Role,
    },
};

/// What is said of a token that is active.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) token: TokenType,
    pub(crate) kind: Kind,
    pub(crate) subject: String,
    /// Only a user has one.
    pub(crate) username: Option<String>,
    pub(crate) client_id: String,
    /// The session; for a service, the login.
    pub(crate) session_id: String,
    /// As they are now.
    pub(crate) roles: Vec<Role>,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// What a token is for.
#[derive(Debug)]
pub(crate) enum TokenType {
    /// To be shown to services.
    Access { issuer: String, audience: String, id: String },
    /// To be spent at this service, which says so in no claim.
    Refresh,
}

impl App {
    /// What an active token says; `None` for every other text, whatever is wrong with it.
    ///
    /// An error says nothing of the token: the database, or the key that it names, could not be
    /// read.
    pub(crate) async fn introspect(&self, token: &str) -> Result<Option<Active>, AppError> {
        let found = if names_itself_refresh_token(token) {
            self.introspect_refresh_token(token).await
        } else {
            self.introspect_access_token(token).await
        };
        match found {
            Err(
                AppError::AccessTokenExpired
                | AppError::AccessTokenInvalid
                | AppError::RefreshTokenInvalid
                | AppError::SessionRevoked,
            ) => Ok(None),
            found => found,
        }
    }

    async fn introspect_access_token(&self, token: &str) -> Result<Option<Active>, AppError> {
        let claims = self.verify_access_token(token)?;
        let (roles, username) = match claims.kind {
            Kind::Service => (self.live_service(&claims).await?.account.roles, None),
            _ => {
                let caller = self.live_session(&claims).await?;
                let user = self.store.user(caller.user_id()).await?;
                let user = user.ok_or(AppError::SessionRevoked)?;
                (user.grants.roles, Some(user.username))
            }
        };
        Ok(Some(Active {
            issued_at: Timestamp::from_unix_seconds(claims.iat),
            expires_at: claims.expires_at(),
            token: TokenType::Access { issuer: claims.iss, audience: claims.aud, id: claims.jti },
            kind: claims.kind,
            subject: claims.sub,
            username,
            client_id: claims.client_id,
            session_id: claims.sid,
            roles,
        }))
    }

    /// A refresh token is active if spending it now would rotate its session: it is the one that
    /// is asked, so nothing is spent by asking.
    async fn introspect_refresh_token(&self, token: &str) -> Result<Option<Active>, AppError> {
        let claims = self.master.verify(token).await?;
        let (session, now) = self.store.session(SessionId(claims.session)).await?;
        let session = session.filter(|s| s.user.0 == claims.user && s.is_live());
        let Some(session) = session else { return Ok(None) };
        let attempt = Attempt::Keyless { fresh: Nonce::random(&*self.entropy) };
        let presented = Presented::new(&claims, attempt, false);
        let policy = &self.policy.rotation;
        let decision = rotation::decide(&presented, Some(&session.row), policy, now);
        // A token that is newer than its row is one that the row's database has forgotten.
        let (Decision::Rotate(_) | Decision::Adopt { .. }) = decision else { return Ok(None) };
        let Some(user) = self.store.user(session.user).await? else { return Ok(None) };
        let idle_until = session.row.idle_until.max(presented.idle_until(policy));
        Ok(Some(Active {
            token: TokenType::Refresh,
            kind: Kind::User,
            subject: user.id.to_string(),
            username: Some(user.username),
            client_id: CLIENT_ID.to_owned(),
            session_id: session.id.to_string(),
            roles: user.grants.roles,
            issued_at: claims.issued_at,
            expires_at: idle_until.min(claims.expires_at),
        }))
    }
}
