//! Listing and ending sessions.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use token::{clock::Timestamp, names_itself_refresh_token};
use uuid::Uuid;

use crate::{
    app::{
        audit::Origin,
        callers::{Authenticated, users_only},
        context::App,
        error::AppError,
    },
    domain::{
        audit::EventKind,
        id::{SessionId, UserId},
        listing,
        session::{RevokeReason, Session},
    },
    storage::store::SessionPosition,
};

/// A page of a user's sessions.
#[derive(Debug)]
pub(crate) struct SessionPage {
    pub(crate) sessions: Vec<Session>,
    pub(crate) next_page_token: String,
}

impl App {
    pub(crate) async fn list_sessions(
        &self,
        caller: &Authenticated,
        page_size: i32,
        page_token: &str,
    ) -> Result<SessionPage, AppError> {
        let size = listing::page_size(page_size, MAX_PAGE_SIZE)
            .map_err(|mend| AppError::FieldInvalid { field: "page_size", mend: mend.into() })?;
        let after = match page_token {
            "" => None,
            token => Some(decode_position(token).ok_or(AppError::PageTokenInvalid)?),
        };
        // One more than asked for tells whether there is a next page.
        let mut sessions = self.store.live_sessions(caller.user_id(), after, size + 1).await?;
        let more = sessions.len() > size as usize;
        sessions.truncate(size as usize);
        let next_page_token =
            sessions.last().filter(|_| more).map(encode_position).unwrap_or_default();
        Ok(SessionPage { sessions, next_page_token })
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
        Ok(self.store.revoke_all_sessions(user, &event).await?)
    }

    /// Ends the session of a token of either kind; of a refresh token whatever its generation and
    /// age.
    pub(crate) async fn logout(&self, token: &str, origin: Origin) -> Result<(), AppError> {
        if names_itself_refresh_token(token) {
            let claims = self.master.verify(token).await?;
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
        Ok(self.store.revoke_session(session, user, end, reason, &event).await?)
    }
}

fn encode_position(last: &Session) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&last.create_time.unix_millis().to_be_bytes());
    bytes[8..].copy_from_slice(last.id.0.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A page token only says where to go on in the caller's own list, so it needs no seal.
fn decode_position(token: &str) -> Option<SessionPosition> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    let (millis, id) = bytes.split_first_chunk::<8>()?;
    Some(SessionPosition {
        create_time: Timestamp::from_unix_millis(i64::from_be_bytes(*millis)),
        id: SessionId(Uuid::from_slice(id).ok()?),
    })
}

const MAX_PAGE_SIZE: u32 = 100;
