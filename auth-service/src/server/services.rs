//! Service accounts, as an operator works on them.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::{
    app::{Administrator, AppError, NewSecret},
    domain::{
        id::ServiceId,
        service_account::Overlap,
        user::{Role, Status, roles_of},
    },
    server::Server,
};

/// What a service logs in with. `Debug` does not show the secret.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServiceCredentials {
    /// Names the account; no secret.
    pub client_id: String,
    /// Known to nobody else: the database has only its hash.
    pub client_secret: SecretString,
}

/// Why something could not be done to a service account.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ServiceError(String);

impl ServiceCredentials {
    /// Those that [`Server::create_service`] gave.
    #[must_use]
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> Self {
        Self { client_id: client_id.into(), client_secret: client_secret.into() }
    }
}

impl Server {
    /// Creates a service account of these roles (of `viewer`, `editor`, `admin`; none means none)
    /// with a secret of its own.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] says what is wrong with the name or a role, that the name is taken, or that
    /// the database did not answer.
    pub async fn create_service(
        &self,
        name: &str,
        roles: &[impl AsRef<str> + Sync],
    ) -> Result<ServiceCredentials, ServiceError> {
        let roles = parsed(roles)?;
        let made = self.app.create_service(Administrator::OPERATOR, name, roles).await?;
        Ok(made.into())
    }

    /// Whether these are an account's, be it disabled.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if the database did not answer.
    pub async fn knows_service(
        &self,
        credentials: &ServiceCredentials,
    ) -> Result<bool, ServiceError> {
        let secret = credentials.client_secret.expose_secret().to_owned();
        Ok(self.app.knows_service(&credentials.client_id, secret).await?)
    }

    /// Gives the service account of this name a new secret. The old one stays good for `overlap`: a
    /// day if none is given, 30 days at the most. Whatever was replaced before stays good for as long
    /// as was said then; an overlap of zero ends it all.
    ///
    /// # Errors
    ///
    /// [`ServiceError`]: there is no such account, the overlap is too long, as many secrets are good
    /// as may be, or the database did not answer.
    pub async fn rotate_service_secret(
        &self,
        name: &str,
        overlap: Option<Duration>,
    ) -> Result<ServiceCredentials, ServiceError> {
        let overlap = overlap.map_or(Ok(Overlap::DEFAULT), Overlap::new);
        let overlap = overlap.map_err(|mend| ServiceError(format!("the overlap {mend}")))?;
        self.give_secret(self.service_named(name).await?, overlap).await
    }

    /// Sets whether the service account of this name may log in and act. Its access tokens from
    /// before it was disabled stay bad. `false` if it was so already.
    ///
    /// # Errors
    ///
    /// [`ServiceError`]: there is no such account, or the database did not answer.
    pub async fn set_service_enabled(
        &self,
        name: &str,
        enabled: bool,
    ) -> Result<bool, ServiceError> {
        let status = if enabled { Status::Active } else { Status::Disabled };
        let id = self.service_named(name).await?;
        Ok(self.app.set_service_status(Administrator::OPERATOR, id, status).await?)
    }

    async fn service_named(&self, name: &str) -> Result<ServiceId, ServiceError> {
        let found = self.app.service_named(name).await?;
        found.ok_or_else(|| ServiceError(format!("{name:?}: there is no service of this name")))
    }

    async fn give_secret(
        &self,
        id: ServiceId,
        overlap: Overlap,
    ) -> Result<ServiceCredentials, ServiceError> {
        let by = Administrator::OPERATOR;
        let secret = self.app.rotate_service_secret(by, id, overlap).await?;
        Ok(NewSecret { id, secret }.into())
    }
}

fn parsed(roles: &[impl AsRef<str>]) -> Result<Vec<Role>, ServiceError> {
    roles_of(roles).map_err(|mend| ServiceError(format!("roles: {mend}")))
}

impl From<NewSecret> for ServiceCredentials {
    fn from(made: NewSecret) -> Self {
        Self { client_id: made.id.to_string(), client_secret: made.secret.into_inner() }
    }
}

impl From<AppError> for ServiceError {
    fn from(error: AppError) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Debug for ServiceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceCredentials")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
