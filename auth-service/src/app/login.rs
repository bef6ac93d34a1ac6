//! Proving a password and starting a session.

use std::sync::Arc;

use crate::{
    app::{
        audit::Origin,
        context::{App, Issued},
        error::AppError,
        guessing::{Guess, Proven, Purpose},
    },
    domain::{
        audit::EventKind,
        pace::Subject,
        secret::{PlainPassword, Username},
        user::Status,
    },
};

impl App {
    /// A wrong password and an unknown user are one answer, after the same work: one hash. A locked
    /// name is refused before any, whoever has it.
    pub(crate) async fn login(
        self: &Arc<Self>,
        username: &str,
        password: String,
        device_name: String,
        origin: Origin,
    ) -> Result<Issued, AppError> {
        let password = PlainPassword::presented(password)
            .map_err(|mend| AppError::FieldInvalid { field: "password", mend: mend.into() })?;
        check_device_name(&device_name)?;
        // No user has the empty name, so a name that cannot be is looked up all the same.
        let key = Username::parse(username).map(|name| name.key()).unwrap_or_default();
        let guess = Guess {
            name: Subject::name(username),
            password: password.clone(),
            purpose: Purpose::Login { key, device_name: device_name.clone() },
            origin,
        };
        let Proven { user, outdated } = self.prove(guess).await?;
        let failed = || {
            let event = self.event(EventKind::LoginFailed, origin).on_device(&device_name);
            self.audit.record(event.of(user.id));
            self.meters.logins.failed.inc();
        };
        if user.status == Status::Disabled {
            failed();
            return Err(AppError::AccountDisabled);
        }
        if outdated {
            let hash = self.passwords.hash(password).await?;
            self.store.rehash_password(user.id, user.password_version, &hash).await?;
        }
        let signer = self.signer().await?;
        let session = self.new_session(user.id, device_name.clone());
        let event = self.event(EventKind::LoginSucceeded, origin);
        let event = event.of(user.id).of_session(session.id);
        if !self.store.insert_session(&session, user.password_version, &event).await? {
            // The password was changed, or the user disabled, since it was proven.
            failed();
            return Err(AppError::InvalidCredentials);
        }
        self.meters.logins.succeeded.inc();
        Ok(self.issue_first(&signer, &session, &user.grants, origin))
    }
}

/// It is shown in lists and logs, so it must not be able to disturb them.
fn check_device_name(name: &str) -> Result<(), AppError> {
    let mend = if name.chars().count() > MAX_DEVICE_NAME_CHARS {
        "must be at most 128 characters long"
    } else if name.chars().any(char::is_control) {
        "must not hold control characters"
    } else {
        return Ok(());
    };
    Err(AppError::FieldInvalid { field: "device_name", mend: mend.into() })
}

const MAX_DEVICE_NAME_CHARS: usize = 128;
