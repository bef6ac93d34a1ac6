//! The handle of a session.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::watch;

use super::{
    Base, Event, Events, Held, Saved, SessionBuilder, SessionState, Shared, SignOutReason,
};
use crate::{
    AuthenticationError, ReauthLayer, Refresher, TokenPair,
    flight::{Cause, How},
    store::{Record, StoreError, StoreGuard, StoreWatch},
};

/// Somebody's session. Clones are cheap and share everything.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use client_sdk::{Session, store::FileStore};
///
/// let session = Session::builder("http://127.0.0.1:50051")
///     .store(FileStore::open("tokens.json")?)
///     .connect()
///     .await?;
/// session.login("ada", "correct horse battery").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) shared: Arc<Shared>,
}

impl Session {
    /// A session with the AuthService at `endpoint`.
    #[cfg(feature = "auth-service")]
    pub fn builder<E>(endpoint: E) -> SessionBuilder
    where
        E: TryInto<tonic::transport::Endpoint>,
        E::Error: std::fmt::Display,
    {
        SessionBuilder::for_endpoint(endpoint)
    }

    /// A session with another issuer, which `refresher` speaks to. It is signed in by
    /// [`set_tokens`](Self::set_tokens) or by what its store holds.
    pub fn custom(refresher: impl Refresher) -> SessionBuilder {
        SessionBuilder::for_refresher(refresher)
    }

    /// `watch`, if others have the store too, was made before the store was read.
    pub(super) fn from_shared(shared: Shared, watch: Option<Box<dyn StoreWatch>>) -> Self {
        let session = Self { shared: Arc::new(shared) };
        if let Some(watch) = watch {
            session.shared.watcher().start(&session.shared, watch);
        }
        session
    }

    /// Sees to it that the store is watched, even if the runtime of [`SessionBuilder::connect`] is
    /// gone.
    fn keep_watching(&self) {
        self.shared.watcher().keep(&self.shared);
    }

    /// The layer that authenticates the calls of a channel as this session.
    #[must_use]
    pub fn layer(&self) -> ReauthLayer {
        ReauthLayer::new(self.clone())
    }

    /// Renews the tokens now. Joins a refresh that is under way, but is not satisfied by a pair that
    /// another process had already saved: that one goes to the issuer too.
    ///
    /// # Errors
    ///
    /// As a call's: [`Rejected`](AuthenticationError::Rejected) if the session is over,
    /// [`Unreachable`](AuthenticationError::Unreachable) and the like if it is kept.
    pub async fn refresh(&self) -> Result<(), AuthenticationError> {
        loop {
            let failed = self.shared.current().ok_or_else(|| self.shared.signed_out())?.generation;
            let landing = self.shared.renew(failed, Cause::Forced).await?;
            if matches!(landing.how, How::Renewed) {
                return Ok(());
            }
        }
    }

    /// Replaces the tokens by ones that were obtained elsewhere, and signs in.
    ///
    /// Calls that began under another [`session_id`](TokenPair::session_id) are not replayed with
    /// these.
    ///
    /// # Errors
    ///
    /// [`Configuration`](AuthenticationError::Configuration) for tokens that cannot stand in a
    /// request; the session stays as it is. A pair that cannot be saved is used from memory, and
    /// [`Event::SaveFailed`] says so.
    pub async fn set_tokens(&self, pair: impl Into<TokenPair>) -> Result<(), AuthenticationError> {
        let pair = pair.into();
        pair.check().map_err(|e| AuthenticationError::Configuration {
            message: format!("a token that {e}"),
        })?;
        self.sign_in(pair).await;
        Ok(())
    }

    /// Signs out: in memory at once, whatever else happens, then in the store and at
    /// AuthService; other issuers are not told. Goes on if the caller is dropped.
    ///
    /// # Errors
    ///
    /// The session is signed out here even so:
    /// [`Unreachable`](AuthenticationError::Unreachable) if the token service could not be told
    /// within the budget, [`Store`](AuthenticationError::Store) if the store could not be cleared.
    pub async fn logout(&self) -> Result<(), AuthenticationError> {
        let Some(held) = self.shared.sign_out(None, SignOutReason::LoggedOut) else {
            return Ok(());
        };
        let session = self.clone();
        let rest = async move {
            let (pair, cleared) = session.forget(held.pair).await;
            #[cfg(feature = "auth-service")]
            session.tell_logout(&pair).await?;
            #[cfg(not(feature = "auth-service"))]
            drop(pair);
            Ok(cleared?)
        };
        tokio::spawn(rest).await.unwrap_or(Err(AuthenticationError::Interrupted))
    }

    /// Reads the store again, in case another process has signed in, refreshed or logged out. Every
    /// refresh does so by itself, and a session whose store can be
    /// [watched](crate::store::Store::watch) does so after each change.
    ///
    /// # Errors
    ///
    /// [`Store`](AuthenticationError::Store) if it cannot be read.
    pub async fn reload(&self) -> Result<(), AuthenticationError> {
        let epoch = self.shared.gate().epoch;
        // Under the lock, so that no refresh of this process is half way between store and memory.
        let mut guard = self.shared.lock_store(self.shared.policy.budget).await?;
        let stored = guard.load().await?;
        let held = self.shared.gate().held.clone();
        match (held, stored) {
            (Some(held), _) if !matches!(held.saved, Saved::Yes) => {}
            (Some(held), Some(record)) if held.pair.same_tokens(&record.pair) => {}
            (None, Some(record)) if self.shared.has_left(&record) => {}
            (held, Some(record)) => {
                let age = self.shared.age_of(&record);
                let left = held.is_some_and(|held| held.pair.session_id != record.pair.session_id)
                    && self.shared.sign_out(Some(epoch), SignOutReason::Elsewhere).is_some();
                // Somebody else's session is another epoch.
                let epoch = epoch + u64::from(left);
                self.shared.commit(epoch, Held::adopted(&record), age);
            }
            (Some(_), None) => {
                self.shared.sign_out(Some(epoch), SignOutReason::Elsewhere);
            }
            (None, None) => self.shared.left_is_gone(),
        }
        Ok(())
    }

    /// Whether somebody is signed in, and every change of that.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.keep_watching();
        self.shared.states()
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.keep_watching();
        Events(self.shared.events())
    }

    /// The access token that the next call would carry; `None` when signed out. For tests, and for
    /// transports that the layer does not know.
    #[must_use]
    pub fn access_token(&self) -> Option<SecretString> {
        self.shared.current().map(|token| token.secret.clone())
    }

    /// Saves `pair`, then makes it the session's. Whatever was under way for the session before ends
    /// without effect.
    pub(super) async fn sign_in(&self, pair: TokenPair) {
        // Frees the store's lock if a refresh of the old session holds it.
        self.shared.interrupt();
        let received_at = self.shared.clock.now();
        let record = Record::new(pair.clone(), received_at);
        let held = |saved| Held { pair, received_at, saved };
        let mut base = Base::Unread;
        match self.save_first(&record, &mut base).await {
            // The lock outlives the switch, so that a refresh of the old session that waited for it
            // finds itself outdated.
            Ok(_guard) => self.shared.sign_in(held(Saved::Yes)),
            Err(e) => {
                self.shared.sign_in(held(Saved::No(base)));
                self.shared.emit(Event::SaveFailed { message: e.to_string() });
            }
        }
    }

    async fn save_first(
        &self,
        record: &Record,
        base: &mut Base,
    ) -> Result<Box<dyn StoreGuard>, StoreError> {
        let mut guard = self.shared.lock_store(self.shared.policy.budget).await?;
        *base = Base::Was(guard.load().await?);
        guard.save(record).await?;
        Ok(guard)
    }

    /// Removes the pair of a session that has ended from the store, unless somebody has signed in
    /// there since. Returns the newest refresh token of that session.
    async fn forget(&self, mut pair: TokenPair) -> (TokenPair, Result<(), StoreError>) {
        let epoch = self.shared.gate().epoch;
        let cleared = async {
            let mut guard = self.shared.lock_store(self.shared.policy.budget).await?;
            match guard.load().await? {
                Some(record) if record.pair.session_id == pair.session_id => {
                    pair = record.pair;
                    if self.shared.gate().epoch == epoch {
                        guard.clear().await.inspect(|()| self.shared.left_is_gone())
                    } else {
                        Ok(())
                    }
                }
                _ => Ok(()),
            }
        }
        .await;
        (pair, cleared)
    }
}
