//! The caller's own account.

use std::sync::Arc;

use token::clock::Timestamp;

use crate::{
    app::{
        audit::Origin,
        callers::Authenticated,
        context::App,
        error::AppError,
        guessing::{Guess, Purpose},
    },
    domain::{
        audit::EventKind,
        id::{SessionId, UserId},
        pace::Subject,
        secret::PlainPassword,
        user::Role,
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
        self: &Arc<Self>,
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
        // Whoever holds a stolen access token guesses no faster than anybody else.
        let name = Subject::name(&user.username);
        let guess = Guess { name, password: old, purpose: Purpose::Change(user), origin };
        let user = self.prove(guess).await?.user;
        let hash = self.passwords.hash(new).await?;
        let kept = caller.session_id();
        let event = self.event(EventKind::PasswordChanged, origin);
        let event = event.of(user.id).of_session(kept);
        let proven = user.password_version;
        if self.store.change_password(user.id, proven, &hash, kept, &event).await? {
            self.meters.revocations.password_changed.inc();
            Ok(())
        } else {
            Err(AppError::PasswordChanged)
        }
    }
}
