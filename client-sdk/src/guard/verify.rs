//! From metadata to a caller: what the layer and the interceptor share.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use token::{
    AccessClaims, KeySet, TokenDigest, Verifier, VerifyError, bearer::bearer_token,
    clock::Timestamp,
};

use super::{
    caller::{Caller, End},
    keys::{Held, KeyCache, Lookup},
    refusal::Refusal,
    revocations::Revocations,
    verified::Verified,
};

/// Judges access tokens of one issuer for one audience. Clones share the keys.
#[derive(Clone, Debug)]
pub struct Guard {
    verifier: Verifier,
    keys: KeyCache,
    pub(super) verified: Arc<Verified>,
    revocations: Option<Revocations>,
}

/// What a [`Guard`] has done, and what it goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Calls whose token was known to be good.
    pub known: u64,
    /// Tokens that were found good by their signature, of those that are to be remembered.
    pub verified: u64,
    /// Fetches that have brought keys.
    pub key_fetches: u64,
    /// Fetches that have not.
    pub failed_key_fetches: u64,
    /// How long ago the keys were fetched by which tokens are judged; none before the first.
    pub key_age: Option<Duration>,
    /// For how long nothing was heard of revocations; none if they are not followed.
    pub silent_for: Option<Duration>,
    /// Revocations that are known and whose tokens have not all run out.
    pub revocations: usize,
}

/// What can be said of a call at once.
pub(super) enum Recalled {
    /// Its token was verified before.
    Known(Caller),
    /// Its token must be looked at.
    Unknown(String, TokenDigest),
}

impl Guard {
    /// Accepts `issuer`'s tokens for `audience`, signed by one of `keys`.
    #[must_use]
    pub fn new(issuer: &str, audience: &str, keys: KeyCache) -> Self {
        let verified = Arc::new(Verified::new(VERIFIED_TOKENS));
        Self { verifier: Verifier::new(issuer, audience), keys, verified, revocations: None }
    }

    /// For how many good tokens it remembers that they are good; 16,384 unless set, at about 300
    /// bytes each. A token that is not remembered costs one verification of a signature; 0
    /// remembers none.
    #[must_use]
    pub fn verified_tokens(mut self, tokens: usize) -> Self {
        self.verified = Arc::new(Verified::new(tokens));
        self
    }

    /// Refuses tokens of sessions that are known to be revoked. Without it, a token is good until it
    /// runs out.
    #[must_use]
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        // Callers know where they hear of their end: those of another guard do not hear it here.
        self.verified = Arc::new(self.verified.emptied());
        self.revocations = Some(revocations);
        self
    }

    /// What it has done so far, for whoever measures.
    ///
    /// It locks what calls lock, for moments: ask now and then.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (known, verified) = self.verified.counted();
        let (key_fetches, failed_key_fetches, key_age) = self.keys.counted();
        Statistics {
            known,
            verified,
            key_fetches,
            failed_key_fetches,
            key_age,
            silent_for: self.revocations.as_ref().map(Revocations::silent_for),
            revocations: self.revocations.as_ref().map_or(0, Revocations::len),
        }
    }

    /// Who calls, from a call's metadata; fetches keys if it must.
    ///
    /// # Errors
    ///
    /// Every [`Refusal`] but [`Refusal::Denied`].
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        match self.recall(headers)? {
            Recalled::Known(caller) => Ok(caller),
            Recalled::Unknown(token, digest) => self.settle(&token, digest).await,
        }
    }

    /// Who calls, judged by the keys at hand alone. If those do not do, it has them fetched for the
    /// next call and answers [`Refusal::KeysUnavailable`].
    ///
    /// # Errors
    ///
    /// Every [`Refusal`] but [`Refusal::Denied`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if keys must be fetched.
    pub fn authenticate_cached(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let now = self.keys.now();
        let token = token_of(headers)?;
        self.judge(token, TokenDigest::of(token), now).unwrap_or_else(|| {
            self.keys.warm_up(now);
            Err(UNAVAILABLE)
        })
    }

    /// What costs no signature: whether the token is one that was verified.
    pub(super) fn recall(&self, headers: &HeaderMap) -> Result<Recalled, Refusal> {
        let token = token_of(headers)?;
        let digest = TokenDigest::of(token);
        let now = self.keys.now();
        let held = self.keys.usable(now);
        let known = held
            .as_ref()
            .and_then(|held| held.as_deref())
            .and_then(|held| self.verified.get(&digest, held.version, now));
        match known {
            Some(caller) => self.admit(caller).map(Recalled::Known),
            None => Ok(Recalled::Unknown(token.to_owned(), digest)),
        }
    }

    /// Judges a token that must be looked at; fetches keys if it must.
    pub(super) async fn settle(&self, token: &str, digest: TokenDigest) -> Result<Caller, Refusal> {
        let now = self.keys.now();
        if let Some(verdict) = self.judge(token, digest, now) {
            return verdict;
        }
        if self.keys.usable(now).is_none() {
            self.keys.renew(now).await;
        }
        let held = self.keys.any().ok_or(UNAVAILABLE)?;
        match self.verify(token, digest, &held, self.keys.now()) {
            Err(VerifyError::UnknownKey) => {}
            verdict => return verdict.map_err(Refusal::from).and_then(|c| self.admit(c)),
        }
        match self.keys.look_up(self.keys.now()).await {
            Lookup::Fetched => {
                let held = self.keys.any().ok_or(UNAVAILABLE)?;
                self.admit(self.verify(token, digest, &held, self.keys.now())?)
            }
            // The key may be one that could not be fetched: that is no verdict on the token.
            Lookup::Unreachable => Err(UNAVAILABLE),
            // The source's last answer, a moment old, lacks the key. If it is genuine after all,
            // the answer harms nobody: on ACCESS_TOKEN_INVALID a client refreshes and replays, and
            // only AuthService's own verdict on a refresh token ends a session.
            Lookup::Throttled => Err(Refusal::Invalid),
        }
    }

    /// By the keys at hand; `None` if others must be fetched.
    fn judge(
        &self,
        token: &str,
        digest: TokenDigest,
        now: Timestamp,
    ) -> Option<Result<Caller, Refusal>> {
        let held = self.keys.usable(now);
        let verdict = match held.as_ref().and_then(|held| held.as_deref()) {
            Some(held) => self.verify(token, digest, held, now),
            // Without any key it can still be told that no key would help.
            None => self.verifier.verify(token, &KeySet::default(), now).map(|c| self.holder(c)),
        };
        match verdict {
            Err(VerifyError::UnknownKey) => None,
            verdict => Some(verdict.map_err(Refusal::from).and_then(|c| self.admit(c))),
        }
    }

    /// The holder of a good token, unless it was revoked.
    fn admit(&self, caller: Caller) -> Result<Caller, Refusal> {
        match &self.revocations {
            Some(revocations) => revocations.judge(&caller).map(|()| caller),
            None => Ok(caller),
        }
    }

    fn holder(&self, claims: AccessClaims) -> Caller {
        Caller::holding(claims, End(self.revocations.clone()))
    }

    /// By signature, or by having done so before.
    fn verify(
        &self,
        token: &str,
        digest: TokenDigest,
        held: &Held,
        now: Timestamp,
    ) -> Result<Caller, VerifyError> {
        if let Some(caller) = self.verified.get(&digest, held.version, now) {
            return Ok(caller);
        }
        let claims = self.verifier.verify(token, &held.keys, now)?;
        let until = claims.expires_at() + Verifier::LEEWAY;
        let caller = self.holder(claims);
        self.verified.insert(digest, caller.clone(), held.version, until);
        Ok(caller)
    }
}

/// The bearer token of a call, if it is not too long to be one.
fn token_of(headers: &HeaderMap) -> Result<&str, Refusal> {
    let values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let token = bearer_token(values)?;
    if token.len() > Verifier::MAX_TOKEN_BYTES { Err(Refusal::Invalid) } else { Ok(token) }
}

const VERIFIED_TOKENS: usize = 16 * 1024;
const UNAVAILABLE: Refusal = Refusal::KeysUnavailable { retry_after: KeyCache::RETRY_INTERVAL };
