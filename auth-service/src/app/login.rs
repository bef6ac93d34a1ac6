//! Proving a password and starting a session.

use crate::{
    app::{
        audit::Origin,
        context::{App, Issued},
        error::AppError,
        passwords::Proof,
    },
    domain::{
        audit::{AuditEvent, EventKind},
        secret::{PlainPassword, Username},
        user::{Status, User},
    },
};

impl App {
    /// A wrong password and an unknown user are one answer, after the same work: one hash. A locked
    /// name is refused before any, whoever has it.
    pub(crate) async fn login(
        &self,
        username: &str,
        password: String,
        device_name: String,
        origin: Origin,
    ) -> Result<Issued, AppError> {
        let password = PlainPassword::presented(password)
            .map_err(|mend| AppError::FieldInvalid { field: "password", mend: mend.into() })?;
        check_device_name(&device_name)?;
        let guess = self.begin_guess(username, origin).await?;
        // No user has the empty name, so a name that cannot be is looked up all the same.
        let key = Username::parse(username).map(|name| name.key()).unwrap_or_default();
        let user = self.store.user_by_name(&key).await?;
        let stored = user.as_ref().map(|user| user.password.clone());
        let known = user.as_ref().map(|user| user.id);
        let proof = self.prove(guess, password.clone(), stored, known, origin).await?;
        let failed = |user: Option<&User>| {
            let event = self.event(EventKind::LoginFailed, origin).on_device(&device_name);
            self.audit.record(AuditEvent { account: user.map(|user| user.id.into()), ..event });
        };
        let (Proof::Proven { outdated }, Some(user)) = (proof, &user) else {
            failed(user.as_ref());
            return Err(AppError::InvalidCredentials);
        };
        if user.status == Status::Disabled {
            failed(Some(user));
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
            failed(Some(user));
            return Err(AppError::InvalidCredentials);
        }
        Ok(self.issue_first(&signer, &session, &user.grants))
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
