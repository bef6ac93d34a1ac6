//! Users, as an operator works on them.

use thiserror::Error;

use crate::{
    app::{Administrator, AppError},
    domain::{
        id::UserId,
        user::{LastAdmin, Status, roles_of},
    },
    server::Server,
};

/// Why something could not be done to a user.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct SetUserError(String);

impl Server {
    /// Sets whether the user of this name may log in and act. Disabling ends all their sessions,
    /// which enabling does not bring back. `false` if it was so already.
    ///
    /// # Errors
    ///
    /// [`SetUserError`]: there is no such user, nobody who administers would be left (which `force`
    /// allows), or the database did not answer.
    pub async fn set_enabled(
        &self,
        username: &str,
        enabled: bool,
        force: bool,
    ) -> Result<bool, SetUserError> {
        let status = if enabled { Status::Active } else { Status::Disabled };
        let user = self.user_named(username).await?;
        let by = Administrator::OPERATOR;
        Ok(self.app.set_user_status(by, user, status, last_admin(force)).await?)
    }

    /// Replaces the roles of the user of this name by these (of `viewer`, `editor`, `admin`; none
    /// means none). Access tokens with the old ones are stale; no session ends. `false` if it was so
    /// already.
    ///
    /// # Errors
    ///
    /// [`SetUserError`]: a role is none of these, there is no such user, nobody who administers would
    /// be left (which `force` allows), or the database did not answer.
    pub async fn set_roles(
        &self,
        username: &str,
        roles: &[impl AsRef<str> + Sync],
        force: bool,
    ) -> Result<bool, SetUserError> {
        let roles = roles_of(roles).map_err(|mend| SetUserError(format!("roles: {mend}")))?;
        let user = self.user_named(username).await?;
        let by = Administrator::OPERATOR;
        Ok(self.app.set_user_roles(by, user, &roles, last_admin(force)).await?)
    }

    /// Forgives the failed logins under the name of this user, who need not wait any longer. `false`
    /// if there are none that count.
    ///
    /// # Errors
    ///
    /// [`SetUserError`]: there is no such user, or the database did not answer.
    pub async fn unlock_user(&self, username: &str) -> Result<bool, SetUserError> {
        let user = self.user_named(username).await?;
        Ok(self.app.unlock_user(Administrator::OPERATOR, user).await?)
    }

    async fn user_named(&self, username: &str) -> Result<UserId, SetUserError> {
        let found = self.app.user_named(username).await?;
        found.ok_or_else(|| SetUserError(format!("{username:?}: there is no user of this name")))
    }
}

const fn last_admin(force: bool) -> LastAdmin {
    if force { LastAdmin::MayGo } else { LastAdmin::Stays }
}

impl From<AppError> for SetUserError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::LastAdmin => Self(format!("{error} (--force does it all the same)")),
            error => Self(error.to_string()),
        }
    }
}
