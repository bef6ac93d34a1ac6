//! Signing keys.

use async_trait::async_trait;
use token::clock::Timestamp;

use crate::{
    domain::{
        audit::AuditEvent,
        signing_keys::{KeyState, Promised},
    },
    storage::{
        error::StoreError,
        memory::{MemoryStore, database::Tables},
        store::{KeyStore, SealedKey, StoredKey, Withdrawal},
    },
};

#[async_trait]
impl KeyStore for MemoryStore {
    async fn signing_keys(&self) -> Result<(Vec<StoredKey>, Timestamp), StoreError> {
        let (mut keys, now) = self.read(|tables, now| (tables.keys.clone(), now)).await;
        keys.sort_by(|a, b| (b.create_time, &a.key.kid).cmp(&(a.create_time, &b.key.kid)));
        Ok((keys, now))
    }

    async fn insert_first_key(&self, key: &SealedKey) -> Result<(), StoreError> {
        self.write(|tables, now| insert(tables, key, KeyState::Active, now)).await;
        Ok(())
    }

    async fn insert_next_key(
        &self,
        key: &SealedKey,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, now| {
                let inserted = insert(tables, key, KeyState::Next, now);
                if inserted {
                    tables.audit(event);
                }
                inserted
            })
            .await)
    }

    async fn promote_key(
        &self,
        next: &str,
        active: &str,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, now| {
                let is = |kid: &str, state| {
                    tables.keys.iter().any(|stored| stored.key.kid == kid && stored.state == state)
                };
                if !is(next, KeyState::Next) || !is(active, KeyState::Active) {
                    return false;
                }
                for stored in &mut tables.keys {
                    let state = match &*stored.key.kid {
                        kid if kid == next => KeyState::Active,
                        kid if kid == active => KeyState::Retired,
                        _ => continue,
                    };
                    (stored.state, stored.state_time) = (state, now);
                }
                tables.audit(event);
                true
            })
            .await)
    }

    async fn remove_retired_key(&self, kid: &str) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, _| {
                let before = tables.keys.len();
                tables
                    .keys
                    .retain(|stored| stored.key.kid != kid || stored.state != KeyState::Retired);
                tables.keys.len() < before
            })
            .await)
    }

    async fn replace_known_key(
        &self,
        known: &str,
        key: &SealedKey,
        event: &AuditEvent,
    ) -> Result<Withdrawal, StoreError> {
        Ok(self
            .write(|tables, now| {
                if !tables.keys.iter().any(|stored| stored.key.kid == known) {
                    return match tables.withdrawn.contains(known) {
                        true => Withdrawal::DoneBefore,
                        false => Withdrawal::NoSuchKey,
                    };
                }
                let lead = tables.keys.iter().map(|stored| stored.promised.lead).max();
                let goes = |stored: &mut StoredKey| {
                    stored.key.kid == known || stored.state != KeyState::Retired
                };
                let gone = tables.keys.extract_if(.., goes).map(|stored| stored.key.kid);
                tables.withdrawn.extend(gone);
                insert(tables, key, KeyState::Active, now);
                if let Some(signs) = tables.keys.last_mut() {
                    signs.promised.lead = lead.unwrap_or_default();
                }
                tables.audit(event);
                Withdrawal::Done
            })
            .await)
    }

    async fn promise(&self, promised: Promised) -> Result<(), StoreError> {
        self.write(|tables, _| {
            let unretired = tables.keys.iter_mut().filter(|key| key.state != KeyState::Retired);
            for key in unretired {
                key.promised.lead = key.promised.lead.max(promised.lead);
                key.promised.retention = key.promised.retention.max(promised.retention);
            }
        })
        .await;
        Ok(())
    }
}

/// Inserts a key, unless there is one in a state that only one may be in.
fn insert(tables: &mut Tables, key: &SealedKey, state: KeyState, now: Timestamp) -> bool {
    let taken = tables.keys.iter().any(|stored| stored.key.kid == key.kid || stored.state == state);
    if !taken {
        let key = key.clone();
        let promised = Promised::default();
        tables.keys.push(StoredKey { key, state, create_time: now, state_time: now, promised });
    }
    !taken
}
