//! What an administrator does to users.

use crate::{
    app::{audit::Administrator, context::App, error::AppError},
    domain::{
        audit::EventKind,
        id::UserId,
        secret::Username,
        user::{LastAdmin, Role, Status, names_of},
    },
};

impl App {
    /// Replaces a user's roles, which makes their older access tokens stale. `false` if they were
    /// these already.
    ///
    /// Nobody takes the role of an administrator from themselves by mistake.
    pub(crate) async fn set_user_roles(
        &self,
        by: Administrator,
        user: UserId,
        roles: &[Role],
        last: LastAdmin,
    ) -> Result<bool, AppError> {
        if by.is(user) && !roles.contains(&Role::Admin) {
            return Err(AppError::PermissionDenied(
                "nobody takes the role admin from themselves; ask another administrator",
            ));
        }
        let event = self.event_by(by, EventKind::RolesChanged).of(user);
        let event = event.detailed(format!("roles {}", names_of(roles)));
        let set = self.store.set_roles(user, roles, last, &event).await?;
        self.done(set, user).await
    }

    /// Bars a user and ends their sessions, or lets them log in again. `false` if it was so already.
    ///
    /// Nobody bars themselves by mistake.
    pub(crate) async fn set_user_status(
        &self,
        by: Administrator,
        user: UserId,
        status: Status,
        last: LastAdmin,
    ) -> Result<bool, AppError> {
        let kind = match status {
            Status::Active => EventKind::UserEnabled,
            Status::Disabled if by.is(user) => {
                return Err(AppError::PermissionDenied(
                    "nobody disables themselves; ask another administrator",
                ));
            }
            Status::Disabled => EventKind::UserDisabled,
        };
        let event = self.event_by(by, kind).of(user);
        let set = self.store.set_status(user, status, last, &event).await?;
        if set && status == Status::Disabled {
            self.meters.revocations.user_disabled.inc();
        }
        self.done(set, user).await
    }

    /// The user of this name, if there is one.
    pub(crate) async fn user_named(&self, name: &str) -> Result<Option<UserId>, AppError> {
        // No user has the empty name.
        let key = Username::parse(name).map(|name| name.key()).unwrap_or_default();
        Ok(self.store.user_by_name(&key).await?.map(|user| user.id))
    }

    /// Whether something was done; if not, the user must exist all the same.
    async fn done(&self, done: bool, user: UserId) -> Result<bool, AppError> {
        if !done && self.store.user(user).await?.is_none() {
            return Err(AppError::UserNotFound(user));
        }
        Ok(done)
    }
}
