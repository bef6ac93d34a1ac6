//! Looking after the signing keys: what is due is done, and what is asked for.

use std::{sync::Arc, time::Duration};

use token::{PublicKey, SigningKey, clock::Timestamp};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    app::{
        audit::{self, Administrator, Origin},
        context::App,
        error::AppError,
        signing_keys::{REREAD_INTERVAL, new_key},
    },
    domain::{
        audit::EventKind,
        signing_keys::{KeyState, Step},
    },
    storage::store::{StoredKey, Withdrawal},
};

/// Reads the keys again and does what is due, now and at every interval. While the database does not
/// answer, the keys in memory go on serving.
pub(crate) async fn keep_keys(app: &App) {
    let mut rounds = interval(REREAD_INTERVAL);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        if let Err(error) = app.tend_keys(Duration::ZERO).await {
            tracing::warn!(%error, "the signing keys could not be read again; those in memory serve");
        }
    }
}

impl App {
    /// Whether access tokens can be signed.
    pub(crate) async fn can_sign(&self) -> bool {
        self.signer().await.is_ok()
    }

    /// The key that signs. Keys that were read too long ago, as after a suspension, are read again
    /// first.
    pub(super) async fn signer(&self) -> Result<Arc<SigningKey>, AppError> {
        if let Some(signer) = self.keys.signer(self.clock.now()) {
            return Ok(signer);
        }
        if timeout(PATIENCE, self.tend_keys(RETRY_GAP)).await.is_err() {
            tracing::warn!("the signing keys could not be read again in time");
        }
        self.keys.signer(self.clock.now()).ok_or(AppError::KeysUnavailable)
    }

    /// Every key that a verifier should know, and how long it may keep them.
    ///
    /// A process that was suspended holds keys of before, and so they are read again first.
    pub(crate) async fn published_keys(&self) -> (Vec<PublicKey>, Duration) {
        match timeout(PATIENCE, self.tend_keys(REREAD_INTERVAL)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "keys are told that could not be read again"),
            Err(_) => tracing::warn!("keys are told that could not be read again in time"),
        }
        self.keys.published(self.clock.now())
    }

    /// Reads the keys again and does what is due, unless that was begun less than `gap` ago.
    pub(crate) async fn tend_keys(&self, gap: Duration) -> Result<(), AppError> {
        let mut turn = self.keys.turn.lock().await;
        let now = self.clock.now();
        if !gap.is_zero() && turn.is_some_and(|begun| now.saturating_since(begun) < gap) {
            return Ok(());
        }
        self.tend(&mut turn).await
    }

    /// Every signing key, newest first.
    pub(crate) async fn list_signing_keys(&self) -> Result<Vec<StoredKey>, AppError> {
        Ok(self.store.signing_keys().await?.0)
    }

    /// Makes the key that signs next, unless there is one, and gives it back.
    pub(crate) async fn rotate_signing_key(
        &self,
        by: Administrator,
    ) -> Result<StoredKey, AppError> {
        let mut turn = self.keys.turn.lock().await;
        // What is due comes first, or a change that has but to be finished would count as under way.
        self.tend(&mut turn).await?;
        self.make_next(Some(by)).await?;
        let stored = self.read_keys().await?.0;
        let of = |state| stored.iter().find(|stored| stored.state == state);
        // An urgent change may have overtaken this one.
        of(KeyState::Next).or(of(KeyState::Active)).cloned().ok_or(AppError::KeysUnavailable)
    }

    /// Withdraws a key that others know, unless it was withdrawn before, and gives back the one that
    /// signs now.
    pub(crate) async fn withdraw_signing_key(
        &self,
        by: Administrator,
        known: &str,
    ) -> Result<StoredKey, AppError> {
        let _turn = self.keys.turn.lock().await;
        let key = new_key(&self.master.ring(), &*self.entropy);
        let event = self.event_by(by, EventKind::SigningKeyCompromised).detailed(known);
        match self.store.replace_known_key(known, &key, &event).await? {
            Withdrawal::Done => {
                audit::warn(&event);
                tracing::warn!(withdrawn = known, signs = key.kid, "a signing key was replaced");
            }
            Withdrawal::DoneBefore => {}
            Withdrawal::NoSuchKey => return Err(AppError::SigningKeyNotFound(known.to_owned())),
        }
        let active = |stored: &StoredKey| stored.state == KeyState::Active;
        self.read_keys().await?.0.into_iter().find(active).ok_or(AppError::KeysUnavailable)
    }

    /// Does what is due, and what is due after it.
    async fn tend(&self, turn: &mut Option<Timestamp>) -> Result<(), AppError> {
        *turn = Some(self.clock.now());
        let due = self.read_keys().await?.1;
        if due.is_empty() {
            return Ok(());
        }
        for step in due {
            self.take(step).await?;
        }
        self.read_keys().await?;
        Ok(())
    }

    async fn read_keys(&self) -> Result<(Vec<StoredKey>, Vec<Step>), AppError> {
        let read_at = self.clock.now();
        let (stored, now) = self.store.signing_keys().await?;
        // Before the keys are told or sign: whoever looks after them later may have lower settings.
        if let Some(promised) = self.keys.unpromised(&stored) {
            self.store.promise(promised).await?;
        }
        match self.keys.take_over(&stored, now, read_at, &self.master).await {
            Ok(due) => Ok((stored, due)),
            Err(error) => {
                tracing::error!(%error, "the signing keys of the database are of no use");
                Err(AppError::KeysUnavailable)
            }
        }
    }

    async fn take(&self, step: Step) -> Result<(), AppError> {
        match step {
            Step::MakeNext => self.make_next(None).await?,
            Step::Promote { next, active } => {
                let event = self.event(EventKind::SigningKeyPromoted, Origin::default());
                let event = event.detailed(&*next);
                // One that this instance cannot open is left to those that can.
                if self.keys.can_sign_with(&next)
                    && self.store.promote_key(&next, &active, &event).await?
                {
                    tracing::info!(signs = next, retired = active, "a new signing key signs");
                }
            }
            Step::Remove(kid) => {
                if self.store.remove_retired_key(&kid).await? {
                    tracing::info!(kid, "a signing key is published no longer");
                }
            }
        }
        Ok(())
    }

    /// At an administrator's wish, or because it is due.
    async fn make_next(&self, by: Option<Administrator>) -> Result<(), AppError> {
        let key = new_key(&self.master.ring(), &*self.entropy);
        let kind = EventKind::SigningKeyMade;
        let event = match by {
            Some(by) => self.event_by(by, kind),
            None => self.event(kind, Origin::default()),
        };
        if self.store.insert_next_key(&key, &event.detailed(&*key.kid)).await? {
            tracing::info!(kid = key.kid, "a new signing key is published");
        }
        Ok(())
    }
}

/// How often a process without a key that signs looks for one because of a request.
const RETRY_GAP: Duration = Duration::from_secs(1);
/// How long whoever asks for keys waits for newer ones.
const PATIENCE: Duration = Duration::from_secs(1);
