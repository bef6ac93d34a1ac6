//! Listing and ending sessions.

use token::{clock::Timestamp, names_itself_refresh_token};
use uuid::Uuid;

use crate::{
    app::{
        audit::Origin,
        callers::{Authenticated, users_only},
        context::App,
        error::AppError,
        lists::{Page, PageRequest, size_of},
    },
    domain::{
        audit::EventKind,
        id::{SessionId, UserId},
        session::{RevokeReason, Session},
    },
    storage::{error::StoreError, store::SessionPosition},
};

impl App {
    /// The caller's sessions, newest first.
    pub(crate) async fn list_sessions(
        &self,
        caller: &Authenticated,
        page: PageRequest<'_>,
    ) -> Result<Page<Session>, AppError> {
        let size = size_of(page, MAX_PAGE_SIZE)?;
        let user = caller.user_id();
        let scope = ("ListSessions", user.0);
        let after: Option<(i64, Uuid)> = self.page_tokens.open(&scope, page.token)?;
        let after = after.map(|(millis, id)| SessionPosition {
            create_time: Timestamp::from_unix_millis(millis),
            id: SessionId(id),
        });
        // One more than asked for tells whether there is a next page.
        let sessions = self.store.live_sessions(user, after, size + 1).await?;
        let key = |last: &Session| (last.create_time.unix_millis(), last.id.0);
        Ok(self.page(&scope, size, sessions, key))
    }

    /// Ends one of the caller's sessions, even one that this database has forgotten.
    pub(crate) async fn revoke_session(
        &self,
        caller: &Authenticated,
        session: &str,
        origin: Origin,
    ) -> Result<(), AppError> {
        let session: SessionId = session.parse().map(SessionId).map_err(|_| {
            let mend = "must be a session_id as ListSessions shows it (a UUID)".into();
            AppError::FieldInvalid { field: "session_id", mend }
        })?;
        let revoked =
            self.revoke(session, caller.user_id(), None, RevokeReason::User, origin).await?;
        if revoked { Ok(()) } else { Err(AppError::SessionNotFound(session)) }
    }

    /// Ends all the caller's sessions, and tells how many there were.
    pub(crate) async fn revoke_all_sessions(
        &self,
        caller: &Authenticated,
        origin: Origin,
    ) -> Result<u64, AppError> {
        let user = caller.user_id();
        let event = self.event(EventKind::SessionsRevoked, origin);
        let event = event.of(user).of_session(caller.session_id());
        let revoked = self.store.revoke_all_sessions(user, &event).await?;
        self.meters.revocations.all_of_user.inc();
        Ok(revoked)
    }

    /// Ends the session of a token of either kind; of a refresh token whatever its generation and
    /// age.
    pub(crate) async fn logout(&self, token: &str, origin: Origin) -> Result<(), AppError> {
        if names_itself_refresh_token(token) {
            let claims = self.master.verify(token).await?;
            self.check_binding(&claims, origin)?;
            let session = SessionId(claims.session);
            let (user, end) = (UserId(claims.user), Some(claims.expires_at));
            let revoked = self.revoke(session, user, end, RevokeReason::Logout, origin).await?;
            return if revoked { Ok(()) } else { Err(AppError::RefreshTokenInvalid) };
        }
        let claims = self.verify_access_token(token)?;
        users_only(&claims)?;
        let invalid = |_| AppError::AccessTokenInvalid;
        let session = claims.sid.parse().map(SessionId).map_err(invalid)?;
        let user = claims.sub.parse().map(UserId).map_err(invalid)?;
        let revoked = self.revoke(session, user, None, RevokeReason::Logout, origin).await?;
        if revoked { Ok(()) } else { Err(AppError::AccessTokenInvalid) }
    }

    async fn revoke(
        &self,
        session: SessionId,
        user: UserId,
        end: Option<Timestamp>,
        reason: RevokeReason,
        origin: Origin,
    ) -> Result<bool, AppError> {
        let kind = match reason {
            RevokeReason::Logout => EventKind::SessionLoggedOut,
            _ => EventKind::SessionRevoked,
        };
        let event = self.event(kind, origin).of(user).of_session(session);
        // Without the token's word, longer than any token of a forgotten session can live.
        let end = end.unwrap_or_else(|| self.clock.now() + self.policy.lifetimes.absolute);
        let revoked = self.store.revoke_session(session, user, end, reason, &event).await;
        match revoked {
            Ok(true) => self.meters.revoked(reason),
            Ok(false) => {}
            Err(StoreError::TooManyForgotten { .. }) => {
                self.meters.limited.unknown_sessions_of_user.inc();
            }
            Err(_) => {}
        }
        Ok(revoked?)
    }
}

const MAX_PAGE_SIZE: u32 = 100;
