//! Service accounts: making and barring them, their secrets, and logging in with one.

use std::time::Duration;

use secrecy::SecretString;
use token::{AccessClaims, Kind, SigningKey};

use crate::{
    app::{
        audit::{Administrator, Origin},
        context::App,
        error::AppError,
    },
    domain::{
        audit::{AuditEvent, EventKind},
        id::{ServiceId, SessionId, new_v7},
        secret::Username,
        service_account::{
            ClientSecret, NewServiceAccount, Overlap, SecretRotation, ServiceAccount, proves,
        },
        user::{Role, Status, names_of},
    },
};

/// An account with a new secret, which is shown once.
#[derive(Debug)]
pub(crate) struct NewSecret {
    pub(crate) id: ServiceId,
    pub(crate) secret: ClientSecret,
}

/// A service's access token as it leaves the service.
#[derive(Debug)]
pub(crate) struct IssuedToService {
    pub(crate) access_token: SecretString,
    pub(crate) access_expires_in: Duration,
    pub(crate) refresh_after: Duration,
}

impl App {
    /// Creates an account with a secret of its own.
    pub(crate) async fn create_service(
        &self,
        by: Administrator,
        name: &str,
        roles: Vec<Role>,
    ) -> Result<NewSecret, AppError> {
        let name = Username::parse(name)
            .map_err(|mend| AppError::FieldInvalid { field: "name", mend: mend.into() })?;
        let now = self.clock.now();
        let secret = ClientSecret::generate(&*self.entropy);
        let service = NewServiceAccount {
            id: ServiceId::generate(now, &*self.entropy),
            name,
            secret: secret.hash(),
            roles,
            create_time: now,
        };
        let event = self.event_by(by, EventKind::ServiceCreated).of(service.id);
        let event = event.detailed(format!("roles {}", names_of(&service.roles)));
        self.store.create_service(&service, &event).await?;
        Ok(NewSecret { id: service.id, secret })
    }

    /// Gives an account a new secret; the one that it replaces stays good for `overlap`.
    pub(crate) async fn rotate_service_secret(
        &self,
        by: Administrator,
        id: ServiceId,
        overlap: Overlap,
    ) -> Result<ClientSecret, AppError> {
        let secret = ClientSecret::generate(&*self.entropy);
        let event = self.event_by(by, EventKind::ServiceSecretRotated).of(id);
        let lasts = humantime::format_duration(overlap.duration());
        let event = event.detailed(format!("overlap {lasts}"));
        match self.store.rotate_service_secret(id, &secret.hash(), overlap, &event).await? {
            SecretRotation::Done => Ok(secret),
            SecretRotation::NoSuchAccount => Err(AppError::ServiceAccountNotFound(id)),
            SecretRotation::TooMany(next_ends) => Err(AppError::TooManySecrets { next_ends }),
        }
    }

    /// Sets whether an account may log in and act. `false` if it was so already.
    pub(crate) async fn set_service_status(
        &self,
        by: Administrator,
        id: ServiceId,
        status: Status,
    ) -> Result<bool, AppError> {
        let kind = match status {
            Status::Active => EventKind::ServiceEnabled,
            Status::Disabled => EventKind::ServiceDisabled,
        };
        let event = self.event_by(by, kind).of(id);
        let set = self.store.set_service_status(id, status, &event).await?;
        if !set && self.store.service(id).await?.is_none() {
            return Err(AppError::ServiceAccountNotFound(id));
        }
        Ok(set)
    }

    /// The account of this name, if there is one.
    pub(crate) async fn service_named(&self, name: &str) -> Result<Option<ServiceId>, AppError> {
        // No service has the empty name.
        let key = Username::parse(name).map(|name| name.key()).unwrap_or_default();
        Ok(self.store.service_by_name(&key).await?)
    }

    /// An access token for whoever proves the account's secret. An unknown account and a wrong
    /// secret are one answer, after the same work.
    ///
    /// Nothing is stored: an account that is disabled meanwhile counts up its `roles_version`, and
    /// the token says the one that was read here.
    pub(crate) async fn login_service(
        &self,
        client_id: &str,
        secret: String,
        origin: Origin,
    ) -> Result<IssuedToService, AppError> {
        if client_id.is_empty() {
            let mend = "must not be empty".into();
            return Err(AppError::FieldInvalid { field: "client_id", mend });
        }
        let (account, proven) = self.prove_service(client_id, secret).await?;
        let failed = || {
            let event = self.event(EventKind::ServiceLoginFailed, origin);
            let event = match &account {
                Some(account) => event.of(account.id),
                None => event,
            };
            self.audit.record(event);
            self.meters.service_logins.failed.inc();
        };
        let Some(account) = account.as_ref().filter(|_| proven) else {
            self.limit_wrong_secret(client_id, origin).await?;
            failed();
            return Err(AppError::InvalidClient);
        };
        if account.status == Status::Disabled {
            failed();
            return Err(AppError::AccountDisabled);
        }
        let login = SessionId::generate(self.clock.now(), &*self.entropy);
        self.audit.record(AuditEvent {
            session: Some(login),
            ..self.event(EventKind::ServiceLoginSucceeded, origin).of(account.id)
        });
        let issued = self.issue_to_service(&*self.signer().await?, account, login);
        self.meters.service_logins.succeeded.inc();
        Ok(issued)
    }

    /// Whether these are an account's, be it disabled.
    pub(crate) async fn knows_service(
        &self,
        client_id: &str,
        secret: String,
    ) -> Result<bool, AppError> {
        Ok(self.prove_service(client_id, secret).await?.1)
    }

    /// The account of this id, and whether the secret is its.
    async fn prove_service(
        &self,
        client_id: &str,
        secret: String,
    ) -> Result<(Option<ServiceAccount>, bool), AppError> {
        let secret = ClientSecret::presented(secret)
            .map_err(|mend| AppError::FieldInvalid { field: "client_secret", mend: mend.into() })?;
        // An id that cannot be is looked up all the same: no account has the nil one.
        let id = ServiceId(client_id.parse().unwrap_or_default());
        let account = self.store.service(id).await?;
        let proven = proves(&secret, account.as_ref());
        Ok((account, proven))
    }

    fn issue_to_service(
        &self,
        signer: &SigningKey,
        account: &ServiceAccount,
        login: SessionId,
    ) -> IssuedToService {
        let now = self.clock.now();
        let lifetimes = &self.policy.lifetimes;
        let id = account.id.to_string();
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: id.clone(),
            // RFC 9068 section 2.2: without a user involved, the client is the subject.
            client_id: id,
            sid: login.to_string(),
            jti: new_v7(now, &*self.entropy).to_string(),
            iat: now.unix_seconds(),
            exp: (now + lifetimes.access).unix_seconds(),
            roles: account.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            kind: Kind::Service,
            roles_version: account.roles_version,
        };
        IssuedToService {
            access_token: signer.sign(&claims).into(),
            access_expires_in: lifetimes.access,
            refresh_after: lifetimes.refresh_after(self.entropy.unit()).min(lifetimes.access),
        }
    }
}
