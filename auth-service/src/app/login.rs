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
        pace::Subject,
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
        // What waits longest waits without a count, and holds no place that others could use: an
        // attempt is counted when its hash is next, and one that never gets there never is.
        let place = self.passwords.admit()?;
        let name = Subject::name(username);
        let turn = self.guess_turn(name).await;
        let place = place.turn().await;
        let attempt = self.begin_attempt(name, origin).await?;
        // No user has the empty name, so a name that cannot be is looked up all the same.
        let key = Username::parse(username).map(|name| name.key()).unwrap_or_default();
        let user = self.store.user_by_name(&key).await?;
        let stored = user.as_ref().map(|user| user.password.clone());
        let proof = place.check(password.clone(), stored).await?;
        let failed = |user: Option<&User>| {
            let event = self.event(EventKind::LoginFailed, origin).on_device(&device_name);
            self.audit.record(AuditEvent { account: user.map(|user| user.id.into()), ..event });
        };
        if attempt.locks && proof == Proof::Wrong {
            let event = self.event(EventKind::LoginLocked, origin);
            self.audit
                .record(AuditEvent { account: user.as_ref().map(|user| user.id.into()), ..event });
        }
        let (Proof::Proven { outdated }, Some(user)) = (proof, &user) else {
            failed(user.as_ref());
            return Err(AppError::InvalidCredentials);
        };
        // Before anything that may fail: a proven password is no guess.
        self.store.forgive(&attempt).await?;
        drop(turn);
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
