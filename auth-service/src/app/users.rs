//! What an administrator does to users.

use crate::{
    app::{audit::Origin, context::App, error::AppError},
    domain::{
        audit::EventKind,
        id::UserId,
        user::{Role, Status, User, roles_of},
    },
};

impl App {
    /// Replaces a user's roles, which makes their older access tokens stale.
    ///
    /// Nobody takes the role of an administrator from themselves by mistake.
    pub(crate) async fn set_user_roles(
        &self,
        admin: UserId,
        user: &str,
        roles: &[String],
        origin: Origin,
    ) -> Result<(), AppError> {
        let roles = roles_of(roles)
            .map_err(|mend| AppError::FieldInvalid { field: "roles", mend: mend.into() })?;
        let user = self.named(user).await?.id;
        if user == admin && !roles.contains(&Role::Admin) {
            return Err(AppError::PermissionDenied(
                "nobody takes the role admin from themselves; ask another administrator",
            ));
        }
        let event = self.event(EventKind::RolesChanged, origin).of_user(user);
        // The same roles again change nothing.
        self.store.set_roles(user, &roles, &event).await?;
        Ok(())
    }

    /// Bars a user and ends their sessions, or lets them log in again.
    ///
    /// Nobody bars themselves by mistake.
    pub(crate) async fn set_user_status(
        &self,
        admin: UserId,
        user: &str,
        status: Status,
        origin: Origin,
    ) -> Result<(), AppError> {
        let user = self.named(user).await?.id;
        let kind = match status {
            Status::Active => EventKind::UserEnabled,
            Status::Disabled if user == admin => {
                return Err(AppError::PermissionDenied(
                    "nobody disables themselves; ask another administrator",
                ));
            }
            Status::Disabled => EventKind::UserDisabled,
        };
        let event = self.event(kind, origin).of_user(user);
        // It may have been so already.
        self.store.set_status(user, status, &event).await?;
        Ok(())
    }

    async fn named(&self, user: &str) -> Result<User, AppError> {
        let id = user.parse().map(UserId).map_err(|_| {
            let mend = "must be a user_id as GetCurrentUser shows it (a UUID)".into();
            AppError::FieldInvalid { field: "user_id", mend }
        })?;
        self.store.user(id).await?.ok_or(AppError::UserNotFound(id))
    }
}
