//! Proving passwords, and how often one may try.

use crate::{
    app::{
        audit::{Administrator, Origin},
        context::App,
        error::AppError,
        passwords::{self, Proof},
        turns::Turn,
    },
    domain::{
        audit::{AuditEvent, EventKind},
        id::UserId,
        pace::{LOGINS, Subject},
        secret::{PasswordHash, PlainPassword},
    },
    storage::limits::{Attempt, Begun},
};

impl App {
    /// Begins to prove the password of the user of this name, whether or not there is one: counts it
    /// as a failure, before anything is hashed.
    ///
    /// What waits longest waits without a count: an attempt is counted when its hash is next, and one
    /// that never gets there never is. Attempts under a name take turns here, so that those who know
    /// their password and log in at once are not each other's failures. They do so before they ask for
    /// a place among the hashes, or those of one name would take all the places, of which they use one.
    pub(super) async fn begin_guess(
        &self,
        typed: &str,
        origin: Origin,
    ) -> Result<Guess<'_>, AppError> {
        let name = Subject::name(typed);
        let turn = self.limits.guesses.turn(name).await;
        let turn = turn.ok_or(AppError::Overloaded { retry_after: passwords::RETRY_AFTER })?;
        let hash = self.passwords.admit()?.turn().await;
        let address = self.limits.address(origin).map(|address| (Subject::logins(address), LOGINS));
        match self.store.begin_attempt(name, address).await? {
            Begun::Attempt(attempt) => Ok(Guess { attempt, hash, _turn: turn }),
            Begun::Locked(retry_after) => Err(AppError::AccountLocked { retry_after }),
            Begun::TooMany(retry_after) => {
                Err(AppError::TooFast { what: "failed logins from your address", retry_after })
            }
        }
    }

    /// Whether the password is the one that `stored` was made from. A proven one is forgiven, before
    /// anything else may fail: it is no guess.
    pub(super) async fn prove(
        &self,
        guess: Guess<'_>,
        password: PlainPassword,
        stored: Option<PasswordHash>,
        user: Option<UserId>,
        origin: Origin,
    ) -> Result<Proof, AppError> {
        let Guess { attempt, hash, _turn } = guess;
        let proof = hash.check(password, stored).await?;
        if proof != Proof::Wrong {
            self.store.forgive(&attempt).await?;
        } else if attempt.locks {
            let event = self.event(EventKind::LoginLocked, origin);
            self.audit.record(AuditEvent { account: user.map(Into::into), ..event });
        }
        Ok(proof)
    }

    /// Forgives a user's failed logins. OK also if there are none.
    pub(crate) async fn unlock_user(
        &self,
        by: Administrator,
        user: UserId,
    ) -> Result<(), AppError> {
        let found = self.store.user(user).await?.ok_or(AppError::UserNotFound(user))?;
        let event: AuditEvent = self.event_by(by, EventKind::UserUnlocked).of(user);
        self.store.unlock(Subject::name(&found.username), &event).await?;
        Ok(())
    }
}

/// An attempt to prove a password, whose turn it is.
#[derive(Debug)]
pub(super) struct Guess<'a> {
    attempt: Attempt,
    hash: passwords::Turn<'a>,
    _turn: Turn,
}
