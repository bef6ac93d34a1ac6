//! The keys that sign access tokens, as this process holds them.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use token::{
    KeyError, KeyRing, KeySet, PublicKey, SigningKey,
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::{
    app::{error::KeysError, master_keys::MasterKeys},
    domain::signing_keys::{self, KeyState, Promised, Standing, Step},
    storage::{
        error::StoreError,
        store::{SealedKey, Store, StoredKey},
    },
};

/// The keys of access tokens, as the database told last. Using them takes no lock.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    held: ArcSwap<Held>,
    pub(super) policy: signing_keys::Policy,
    max_age: Duration,
    /// One look at the database at a time: when the last one began.
    pub(super) turn: Mutex<Option<Timestamp>>,
}

/// What one look at the database found.
#[derive(Debug)]
struct Held {
    signer: Arc<SigningKey>,
    next: Option<Arc<SigningKey>>,
    published: Vec<Published>,
    trusted: Arc<KeySet>,
    /// The keys that the ring does not open.
    sealed: Vec<String>,
    read_at: Timestamp,
    /// Until when the signer may sign, if nothing newer is read.
    signs_until: Timestamp,
}

#[derive(Clone, Debug)]
struct Published {
    key: PublicKey,
    since: Timestamp,
}

impl SigningKeys {
    /// Unseals the signing keys of the database; makes the first one if there is none.
    pub(crate) async fn open(
        store: &dyn Store,
        master: &MasterKeys,
        entropy: &dyn Entropy,
        clock: &dyn Clock,
        policy: signing_keys::Policy,
        max_age: Duration,
    ) -> Result<Self, KeysError> {
        let storage = |error: StoreError| KeysError::Storage { detail: error.to_string() };
        let mut read_at = clock.now();
        let (mut stored, mut now) = store.signing_keys().await.map_err(storage)?;
        if !stored.iter().any(|stored| stored.state == KeyState::Active) {
            store.insert_first_key(&new_key(&master.ring(), entropy)).await.map_err(storage)?;
            // Another instance may have been first: what the database holds is what counts.
            read_at = clock.now();
            (stored, now) = store.signing_keys().await.map_err(storage)?;
        }
        if let Some(promised) = unpromised(&stored, &policy) {
            store.promise(promised).await.map_err(storage)?;
        }
        let held = Held::read(&stored, now, read_at, master, None).await?;
        Ok(Self { held: ArcSwap::from_pointee(held), policy, max_age, turn: Mutex::new(None) })
    }

    /// The key that signs, as far as this process can know at `now`.
    ///
    /// None if it has not read the keys for a while, or cannot open the one that should sign:
    /// another instance may long have retired the key at hand, and what is signed by it then would
    /// soon be refused everywhere.
    pub(crate) fn signer(&self, now: Timestamp) -> Option<Arc<SigningKey>> {
        let held = self.held.load();
        (now < held.signs_until).then(|| Arc::clone(&held.signer))
    }

    /// Every key that a token may have been signed by.
    pub(crate) fn trusted(&self) -> Arc<KeySet> {
        Arc::clone(&self.held.load().trusted)
    }

    /// Every key that a verifier should know, and how long it may keep them without asking again.
    ///
    /// Keys that could not be read again for a while may lack one that is about to sign, so they
    /// are not to be kept at all.
    pub(crate) fn published(&self, now: Timestamp) -> (Vec<PublicKey>, Duration) {
        let held = self.held.load();
        let keys = held.published.iter().map(|published| published.key.clone()).collect();
        let is_fresh = now.saturating_since(held.read_at) < STALE_AFTER;
        (keys, if is_fresh { self.max_age } else { STALE_MAX_AGE })
    }

    /// What this process is about to promise of the keys, if it was not promised yet.
    pub(super) fn unpromised(&self, stored: &[StoredKey]) -> Option<Promised> {
        unpromised(stored, &self.policy)
    }

    /// Whether this process can sign with a key that is not active yet.
    pub(super) fn can_sign_with(&self, kid: &str) -> bool {
        self.held.load().next.as_ref().is_some_and(|next| next.public().kid() == kid)
    }

    /// Takes over what the database holds, as of `now` by its clock and `read_at` by ours, and tells
    /// what is due.
    pub(super) async fn take_over(
        &self,
        stored: &[StoredKey],
        now: Timestamp,
        read_at: Timestamp,
        master: &MasterKeys,
    ) -> Result<Vec<Step>, KeysError> {
        let before = self.held.load_full();
        let held = Held::read(stored, now, read_at, master, Some(&before)).await?;
        let standing: Vec<_> = stored
            .iter()
            .zip(&held.published)
            .map(|(stored, published)| Standing {
                kid: &stored.key.kid,
                state: stored.state,
                state_time: stored.state_time,
                published_since: published.since,
                promised: stored.promised,
            })
            .collect();
        let due = signing_keys::due(&standing, now, &self.policy);
        self.held.store(Arc::new(held));
        Ok(due)
    }
}

impl Held {
    async fn read(
        stored: &[StoredKey],
        now: Timestamp,
        read_at: Timestamp,
        master: &MasterKeys,
        before: Option<&Self>,
    ) -> Result<Self, KeysError> {
        let published = stored
            .iter()
            .map(|stored| {
                let key = PublicKey::from_jwk(&stored.key.kid, &stored.key.public_key)?;
                let since = before.and_then(|before| before.published_since(key.kid()));
                Ok(Published { key, since: since.unwrap_or(now) })
            })
            .collect::<Result<Vec<_>, KeyError>>()
            .map_err(|error| KeysError::Storage { detail: error.to_string() })?;
        let of = |state| stored.iter().find(|stored| stored.state == state);
        let active = of(KeyState::Active)
            .ok_or_else(|| KeysError::Storage { detail: "no signing key is active".into() })?;
        let mut sealed = Vec::new();
        let signer = match (open(active, master, before, &mut sealed).await, before) {
            (Some(signer), _) => signer,
            // It may sign for a moment more.
            (None, Some(before)) => Arc::clone(&before.signer),
            (None, None) => return Err(master.mismatch()),
        };
        let next = match of(KeyState::Next) {
            // Now, so that a ring that does not open it is found out before it must sign.
            Some(next) => open(next, master, before, &mut sealed).await,
            None => None,
        };
        // The retention of a retired key counts on instances that sign with it for so long.
        let signed_with = stored.iter().find(|stored| stored.key.kid == signer.public().kid());
        let signs_for = match signed_with.map(|stored| (stored.state, stored.state_time)) {
            Some((KeyState::Active, _)) => STALE_AFTER,
            Some((KeyState::Retired, since)) => {
                STALE_AFTER.saturating_sub(now.saturating_since(since))
            }
            // It was withdrawn.
            Some((KeyState::Next, _)) | None => Duration::ZERO,
        };
        let signs_until = read_at + signs_for;
        let trusted = Arc::new(published.iter().map(|published| published.key.clone()).collect());
        Ok(Self { signer, next, published, trusted, sealed, read_at, signs_until })
    }

    fn published_since(&self, kid: &str) -> Option<Timestamp> {
        let published = self.published.iter().find(|published| published.key.kid() == kid)?;
        Some(published.since)
    }

    fn opened(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        [Some(&self.signer), self.next.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.public().kid() == kid)
    }
}

fn unpromised(stored: &[StoredKey], policy: &signing_keys::Policy) -> Option<Promised> {
    let lacks = |key: &StoredKey| key.state != KeyState::Retired && !key.promised.covers(policy);
    let promised = Promised { lead: policy.lead, retention: policy.retention };
    stored.iter().any(lacks).then_some(promised)
}

/// A new key, sealed under the ring's first.
pub(super) fn new_key(ring: &KeyRing, entropy: &dyn Entropy) -> SealedKey {
    let key = SigningKey::generate(entropy);
    let kid = key.public().kid().to_owned();
    SealedKey {
        public_key: key.public().x(),
        sealed_seed: ring.seal(&kid, key.seed(), entropy),
        kid,
    }
}

/// The key, unless no ring that can be had opens it.
async fn open(
    stored: &StoredKey,
    master: &MasterKeys,
    before: Option<&Held>,
    sealed: &mut Vec<String>,
) -> Option<Arc<SigningKey>> {
    let kid = &stored.key.kid;
    if let Some(key) = before.and_then(|before| before.opened(kid)) {
        return Some(Arc::clone(key));
    }
    let mut opened = unseal(&stored.key, &master.ring());
    // An instance with a newer ring may have made it. For a key that is waiting the ring is read
    // again once: the reads that it is allowed are for refresh tokens above all. Without the active
    // one nothing can be signed, so that is tried until it succeeds.
    let is_new = before.is_none_or(|before| !before.sealed.contains(kid));
    let is_urgent = is_new || stored.state == KeyState::Active;
    if opened.is_err() && is_urgent && master.reload().await.is_ok() {
        opened = unseal(&stored.key, &master.ring());
    }
    match opened {
        Ok(key) => Some(Arc::new(key)),
        Err(_) => {
            if is_urgent {
                tracing::error!(
                    kid,
                    state = stored.state.as_str(),
                    "--master-keys: the ring does not open a signing key that another instance \
                     made; give every instance the same ring"
                );
            }
            sealed.push(kid.clone());
            None
        }
    }
}

/// The key, if the ring opens it.
pub(crate) fn unseal(key: &SealedKey, ring: &KeyRing) -> Result<SigningKey, KeyError> {
    let seed = ring.open(&key.kid, &key.sealed_seed)?;
    let seed = seed.as_slice().try_into().map_err(|_| KeyError::Unseal)?;
    Ok(SigningKey::from_seed(Zeroizing::new(seed)))
}

/// How often every instance reads the keys again.
pub(crate) const REREAD_INTERVAL: Duration = Duration::from_secs(5);
/// Keys that were read longer ago are not told as fresh ones: two reads must have failed.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(10);
/// The least that a verifier can be told.
const STALE_MAX_AGE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
