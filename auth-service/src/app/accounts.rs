//! The caller's own account.

use token::clock::Timestamp;

use crate::{
    app::{audit::Origin, callers::Authenticated, context::App, error::AppError, passwords::Proof},
    domain::{
        audit::EventKind,
        id::{SessionId, UserId},
        secret::{PlainPassword, Username},
        user::{Role, Status},
    },
};

/// Who the caller is.
#[derive(Debug)]
pub(crate) struct CurrentUser {
    pub(crate) user: UserId,
    pub(crate) username: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) create_time: Timestamp,
    pub(crate) session: SessionId,
}

/// What came of setting a user's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusSet {
    Changed,
    /// It was so already.
    Unchanged,
    NoSuchUser,
}

impl App {
    pub(crate) async fn current_user(
        &self,
        caller: &Authenticated,
    ) -> Result<CurrentUser, AppError> {
        // A session outlives its user only if the user was removed by hand.
        let user = self.store.user(caller.user_id()).await?.ok_or(AppError::SessionRevoked)?;
        Ok(CurrentUser {
            user: user.id,
            username: user.username,
            roles: user.grants.roles,
            create_time: user.create_time,
            session: caller.session_id(),
        })
    }

    /// Revokes all the caller's sessions but the one that asks.
    pub(crate) async fn change_password(
        &self,
        caller: &Authenticated,
        old: String,
        new: String,
        origin: Origin,
    ) -> Result<(), AppError> {
        let old = PlainPassword::presented(old)
            .map_err(|mend| AppError::FieldInvalid { field: "old_password", mend: mend.into() })?;
        let user = self.store.user(caller.user_id()).await?.ok_or(AppError::SessionRevoked)?;
        let new = PlainPassword::chosen(new, &user.username)
            .map_err(|mend| AppError::FieldInvalid { field: "new_password", mend })?;
        if self.passwords.check(old, Some(user.password)).await? == Proof::Wrong {
            return Err(AppError::InvalidCredentials);
        }
        let hash = self.passwords.hash(new).await?;
        let kept = caller.session_id();
        let event = self.event(EventKind::PasswordChanged, origin);
        let event = event.of_user(user.id).of_session(kept);
        let proven = user.password_version;
        if self.store.change_password(user.id, proven, &hash, kept, &event).await? {
            Ok(())
        } else {
            Err(AppError::PasswordChanged)
        }
    }

    /// Sets whether the user of this name may log in and act; disabling ends their sessions.
    pub(crate) async fn set_status(
        &self,
        username: &str,
        status: Status,
    ) -> Result<StatusSet, AppError> {
        let key = Username::parse(username).map(|name| name.key()).unwrap_or_default();
        let Some(user) = self.store.user_by_name(&key).await? else {
            return Ok(StatusSet::NoSuchUser);
        };
        let kind = match status {
            Status::Active => EventKind::UserEnabled,
            Status::Disabled => EventKind::UserDisabled,
        };
        let event = self.event(kind, Origin::default()).of_user(user.id);
        Ok(match self.store.set_status(user.id, status, &event).await? {
            true => StatusSet::Changed,
            false => StatusSet::Unchanged,
        })
    }
}
