//! Proving passwords, and how often one may try.

use std::sync::Arc;

use tracing::Instrument as _;

use crate::{
    app::{
        audit::{Administrator, Origin},
        context::App,
        error::AppError,
        passwords::{self, Proof},
    },
    domain::{
        audit::{AuditEvent, EventKind},
        id::UserId,
        pace::{LOGINS, Subject},
        secret::PlainPassword,
        user::User,
    },
    storage::limits::Begun,
};

/// A password that is to be proven.
#[derive(Debug)]
pub(super) struct Guess {
    /// The name that it is counted under.
    pub(super) name: Subject,
    pub(super) password: PlainPassword,
    pub(super) purpose: Purpose,
    pub(super) origin: Origin,
}

/// What a password is proven for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// To change it.
    Change(User),
    /// To log in as the user of this key, if there is one.
    Login { key: String, device_name: String },
}

/// Whose password was proven.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) user: User,
    /// Whether its hash was made with other parameters than those in force.
    pub(super) outdated: bool,
}

impl App {
    /// Proves a password, which takes as long if there is no such user. It is counted as a failure
    /// before anything is hashed, and a proven one is forgiven before anything else may fail: it is no
    /// guess.
    ///
    /// What waits longest waits without a count: an attempt is counted when its hash is next, and one
    /// that never gets there never is. Attempts under a name take turns here, so that those who know
    /// their password and log in at once are not each other's failures. They do so before they ask for
    /// a place among the hashes, or those of one name would take all the places, of which they use one.
    ///
    /// Once it may be counted it goes on by itself: that a caller hangs up makes no failure of a right
    /// password, and keeps no wrong one out of the log.
    pub(super) async fn prove(self: &Arc<Self>, guess: Guess) -> Result<Proven, AppError> {
        let turn = self.limits.guesses.turn(guess.name).await.ok_or_else(|| {
            self.meters.limited.logins_of_name.inc();
            self.passwords.overloaded()
        })?;
        let hash = self.passwords.admit()?.turn().await;
        let app = Arc::clone(self);
        let proving = async move {
            let _turn = turn;
            app.prove_in_turn(guess, hash).await
        };
        // It is not heard of again if it panics, or the server ends.
        let proven = tokio::spawn(proving.in_current_span()).await;
        proven.unwrap_or_else(|_| Err(self.passwords.overloaded()))
    }

    async fn prove_in_turn(&self, guess: Guess, hash: passwords::Turn) -> Result<Proven, AppError> {
        let Guess { name, password, purpose, origin } = guess;
        let address = self.limits.address(origin).map(|address| (Subject::logins(address), LOGINS));
        let attempt = match self.store.begin_attempt(name, address).await? {
            Begun::Attempt(attempt) => attempt,
            Begun::Locked(retry_after) => {
                self.meters.limited.locked_name.inc();
                return Err(AppError::AccountLocked { retry_after });
            }
            Begun::TooMany(retry_after) => {
                self.meters.limited.logins_of_address.inc();
                let what = "failed logins from your address";
                return Err(AppError::TooFast { what, retry_after });
            }
        };
        let (user, device_name) = match purpose {
            Purpose::Change(user) => (Some(user), None),
            Purpose::Login { key, device_name } => {
                (self.store.user_by_name(&key).await?, Some(device_name))
            }
        };
        let stored = user.as_ref().map(|user| user.password.clone());
        let proof = self.passwords.check(hash, password, stored).await?;
        let account = match (proof, user) {
            (Proof::Proven { outdated }, Some(user)) => {
                self.store.forgive(&attempt).await?;
                return Ok(Proven { user, outdated });
            }
            (_, user) => user.map(|user| user.id.into()),
        };
        if attempt.locks {
            let event = self.event(EventKind::LoginLocked, origin);
            self.audit.record(AuditEvent { account, ..event });
        }
        if let Some(device_name) = device_name {
            let event = self.event(EventKind::LoginFailed, origin).on_device(&device_name);
            self.audit.record(AuditEvent { account, ..event });
            self.meters.logins.failed.inc();
        }
        Err(AppError::InvalidCredentials)
    }

    /// Forgives a user's failed logins. `false` if there are none that count.
    pub(crate) async fn unlock_user(
        &self,
        by: Administrator,
        user: UserId,
    ) -> Result<bool, AppError> {
        let found = self.store.user(user).await?.ok_or(AppError::UserNotFound(user))?;
        let event: AuditEvent = self.event_by(by, EventKind::UserUnlocked).of(user);
        Ok(self.store.unlock(Subject::name(&found.username), &event).await?)
    }
}
