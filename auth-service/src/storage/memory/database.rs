//! The tables, and who holds them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use token::clock::Timestamp;
use uuid::Uuid;

use crate::{
    domain::{
        audit::AuditEvent,
        guessing::Guesses,
        id::UserId,
        pace::Subject,
        rotation::Row,
        service_account::{SecretHash, ServiceAccount},
        session::{Holder, Session},
        user::{Grants, Role, Status, User},
    },
    storage::{bell::Bell, error::StoreError, store::StoredKey},
};

/// A database in memory. Clones are the same database; it lives as long as one of them.
#[derive(Clone, Debug, Default)]
pub struct MemoryDatabase(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    tables: Mutex<Tables>,
    committed: Mutex<Vec<Committed>>,
    pace: Mutex<Option<Arc<dyn Pace>>>,
    bell: Bell,
}

/// How long storage takes.
pub trait Pace: fmt::Debug + Send + Sync {
    /// The next delay: before a transaction, or between its commit and its answer.
    fn delay(&self) -> Duration;
}

/// A rotation that was committed, whether or not somebody heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// Which session.
    pub session_id: Uuid,
    /// The generation of the new token.
    pub generation: u64,
    /// Whether the row was behind the token that was presented.
    pub adopted: bool,
}

/// All the tables at one moment: a backup.
#[derive(Clone, Debug)]
pub struct Snapshot(Tables);

impl MemoryDatabase {
    /// An empty database.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes it as slow as `pace` says.
    pub fn set_pace(&self, pace: Arc<dyn Pace>) {
        *lock(&self.0.pace) = Some(pace);
    }

    /// A backup of it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.tables().clone())
    }

    /// Puts a backup in its place.
    pub fn restore(&self, snapshot: &Snapshot) {
        *self.tables() = snapshot.0.clone();
    }

    /// Every rotation that was ever committed, in order; a restore takes none of them back.
    #[must_use]
    pub fn committed(&self) -> Vec<Committed> {
        lock(&self.0.committed).clone()
    }

    /// Whether the session has a row that is not revoked.
    #[must_use]
    pub fn is_live(&self, session_id: Uuid) -> bool {
        self.tables().sessions.get(&session_id).is_some_and(|session| !session.row.revoked)
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.0.tables)
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.0.bell
    }

    pub(super) fn note(&self, committed: Committed) {
        lock(&self.0.committed).push(committed);
    }

    pub(super) async fn pause(&self) {
        let delay = lock(&self.0.pace).as_ref().map(|pace| pace.delay());
        if let Some(delay) = delay.filter(|delay| !delay.is_zero()) {
            tokio::time::sleep(delay).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each transaction changes the tables after its last check.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) users: BTreeMap<Uuid, UserRow>,
    pub(super) services: BTreeMap<Uuid, ServiceRow>,
    pub(super) sessions: BTreeMap<Uuid, SessionRow>,
    pub(super) keys: Vec<StoredKey>,
    /// The names of those that others knew.
    pub(super) withdrawn: BTreeSet<String>,
    pub(super) events: Vec<AuditEvent>,
    pub(super) page_token_key: Option<[u8; 32]>,
    pub(super) guesses: BTreeMap<Subject, Guesses>,
    /// When all that happened is made up for.
    pub(super) paces: BTreeMap<Subject, Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) struct UserRow {
    pub(super) user: User,
    pub(super) key: String,
    pub(super) sessions_valid_after: Timestamp,
    pub(super) roles_changed_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) struct ServiceRow {
    pub(super) account: ServiceAccount,
    pub(super) key: String,
    /// Until when each of the replaced secrets is good.
    pub(super) replaced: Vec<(SecretHash, Timestamp)>,
    pub(super) roles_changed_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) struct SessionRow {
    pub(super) user: UserId,
    pub(super) device_name: String,
    pub(super) create_time: Timestamp,
    pub(super) auth_time: Timestamp,
    pub(super) row: Row,
    pub(super) revoked_at: Option<Timestamp>,
    /// Whether it is a tombstone that its user left by revoking what was not known.
    pub(super) forgotten: bool,
}

impl SessionRow {
    /// The instant of the first revocation stands.
    pub(super) fn revoke(&mut self, now: Timestamp) {
        self.row.revoked = true;
        self.revoked_at.get_or_insert(now);
    }
}

impl Tables {
    /// Writes an event; one that is about a session is of the device that logged in.
    pub(super) fn audit(&mut self, event: &AuditEvent) {
        let session = event.session.and_then(|session| self.sessions.get(&session.0));
        let mut event = event.clone();
        if let Some(session) = session {
            event.device.clone_from(&session.device_name);
        }
        self.events.push(event);
    }

    /// Fails if this user is the only one left who administers.
    pub(super) fn leave_an_admin(&self, user: UserId) -> Result<(), StoreError> {
        let administers =
            |user: &User| user.status == Status::Active && user.grants.roles.contains(&Role::Admin);
        let mut admins = self.users.values().filter(|row| administers(&row.user));
        let is_first = admins.next().is_some_and(|row| row.user.id == user);
        if is_first && admins.next().is_none() { Err(StoreError::LastAdmin) } else { Ok(()) }
    }

    pub(super) fn is_active(&self, user: UserId) -> bool {
        self.users.get(&user.0).is_some_and(|row| row.user.status == Status::Active)
    }

    pub(super) fn holder(&self, user: UserId) -> Holder {
        self.users.get(&user.0).map_or(
            Holder { status: Status::Disabled, grants: Grants::default() },
            |row| Holder { status: row.user.status, grants: row.user.grants.clone() },
        )
    }

    pub(super) fn session(&self, id: Uuid) -> Option<Session> {
        let row = self.sessions.get(&id)?;
        Some(Session {
            id: crate::domain::id::SessionId(id),
            user: row.user,
            device_name: row.device_name.clone(),
            create_time: row.create_time,
            auth_time: row.auth_time,
            row: row.row.clone(),
            holder: self.holder(row.user),
        })
    }

    /// Revokes every session of a user but `kept`.
    pub(super) fn revoke_all(&mut self, user: UserId, kept: Option<Uuid>, now: Timestamp) {
        for (id, session) in &mut self.sessions {
            if session.user == user && Some(*id) != kept {
                session.revoke(now);
            }
        }
    }

    /// Revokes every session of a user, and bars those that this database has forgotten.
    pub(super) fn end_all(&mut self, user: UserId, now: Timestamp) {
        if let Some(row) = self.users.get_mut(&user.0) {
            row.sessions_valid_after = row.sessions_valid_after.max(now);
        }
        self.revoke_all(user, None, now);
    }
}
