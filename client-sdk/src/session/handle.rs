//! The handle of a session.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::watch;

use super::{
    Base, Event, Events, Held, Proof, Saved, SessionBuilder, SessionState, Shared, SignOutReason,
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
    /// A session with the AuthService at `endpoint`: a URL, or an
    /// [`Endpoint`](tonic::transport::Endpoint) with TLS and limits of its own.
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

    /// A session that `refresher` gets access tokens for by credentials of its own, such as a client
    /// secret (RFC 6749 section 4.4), and not by refresh tokens: those that it is asked to spend are
    /// empty.
    ///
    /// It is signed in from the start, and one session, whatever
    /// [`session_id`](TokenPair::session_id) its tokens have. The first call asks for the first
    /// token, and all calls that come meanwhile wait for it. Nothing is stored. A rejection does not
    /// end it: calls fail with [`Rejected`](AuthenticationError::Rejected), without network, and
    /// after ten seconds the next one tries again, so that a service whose account was enabled again needs no restart. An
    /// access token that is still good when its renewal is rejected goes on being used. Only
    /// [`logout`](Self::logout) ends such a session, and for good; it tells nobody.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), client_sdk::AuthenticationError> {
    /// use client_sdk::{Session, testing::ScriptedRefresher};
    ///
    /// let refresher = ScriptedRefresher::new();
    /// let session = Session::with_credentials(refresher.clone()).connect().await?;
    /// assert!(session.access_token().is_none());
    /// session.refresh().await?; // as the first call would
    /// assert!(session.access_token().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_credentials(refresher: impl Refresher) -> SessionBuilder {
        SessionBuilder::for_credentials(refresher)
    }

    /// The session of a service account with the AuthService at `endpoint`:
    /// [`with_credentials`](Self::with_credentials), which are the account's client id and secret.
    /// The client id is also what [`state`](Self::state) tells as the session's.
    ///
    /// ```no_run
    /// # async fn example(secret: String) -> Result<(), Box<dyn std::error::Error>> {
    /// use client_sdk::Session;
    ///
    /// let id = "0192f0c1-7f3a-7c4e-9d21-6a1c1f0b5e11";
    /// let session = Session::service("http://127.0.0.1:50051", id, secret).connect().await?;
    /// # let _ = session.layer();
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "auth-service")]
    pub fn service<E>(
        endpoint: E,
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
    ) -> SessionBuilder
    where
        E: TryInto<tonic::transport::Endpoint>,
        E::Error: std::fmt::Display,
    {
        SessionBuilder::for_service(endpoint, client_id.into(), client_secret.into())
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
    /// request, and for a session with credentials; the session stays as it is. A pair that cannot be
    /// saved is used from memory, and [`Event::SaveFailed`] says so.
    pub async fn set_tokens(&self, pair: impl Into<TokenPair>) -> Result<(), AuthenticationError> {
        let pair = pair.into();
        self.refuse_sign_in()?;
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
            if session.shared.policy.proof == Proof::RefreshToken {
                session.tell_logout(&pair).await?;
            }
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

    /// The access token that the next call would carry; `None` when signed out, and before a session
    /// with credentials has asked for its first. For tests, and for
    /// transports that the layer does not know.
    #[must_use]
    pub fn access_token(&self) -> Option<SecretString> {
        let token = self.shared.current().filter(|token| !token.is_missing())?;
        Some(token.secret.clone())
    }

    /// Nobody signs in where the next renewal would make somebody else of them.
    pub(super) fn refuse_sign_in(&self) -> Result<(), AuthenticationError> {
        if self.shared.policy.proof == Proof::Credentials {
            let message = "the session has credentials of its own, and nobody signs in to it";
            return Err(AuthenticationError::Configuration { message: message.to_owned() });
        }
        Ok(())
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
