//! What is too much: guesses under a name, and calls from an address or for a session.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use token::clock::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    app::{
        audit::{Administrator, Origin},
        context::App,
        error::AppError,
        passwords::{self, Proof},
    },
    domain::{
        audit::{AuditEvent, EventKind},
        id::{SessionId, UserId},
        pace::{
            LOGINS, Pace, REFRESHES, REFRESHES_OF_ADDRESS, REGISTRATIONS, SECRETS, Subject, network,
        },
        secret::{PasswordHash, PlainPassword},
    },
    storage::limits::{Attempt, Begun},
};

/// What one process counts by itself, and what it counts at all.
#[derive(Debug)]
pub(crate) struct Limits {
    loopback: bool,
    guesses: Turns,
    sessions: Buckets<SessionId>,
    networks: Buckets<Vec<u8>>,
}

impl Limits {
    /// Without `loopback`, calls from this very machine are limited by name alone.
    pub(crate) fn new(loopback: bool) -> Self {
        Self {
            loopback,
            guesses: Turns::default(),
            sessions: Buckets::new(REFRESHES),
            networks: Buckets::new(REFRESHES_OF_ADDRESS),
        }
    }

    /// The address that a call is counted by.
    fn address(&self, origin: Origin) -> Option<IpAddr> {
        origin.address.filter(|address| self.loopback || !address.is_loopback())
    }

    fn is_exempt(&self, origin: Origin) -> bool {
        origin.address.is_some() && self.address(origin).is_none()
    }
}

impl App {
    /// Refuses a refresh of a session that refreshes faster than any honest one, or from an address
    /// that asks for more than there is for everybody. Nothing is spent, and nothing ends.
    ///
    /// Counted in memory: a refresh is the call that must stay cheap, and an instance protects
    /// itself. The token has been verified, so nobody makes up sessions to be remembered.
    pub(super) fn limit_refresh(&self, session: SessionId, origin: Origin) -> Result<(), AppError> {
        if self.limits.is_exempt(origin) {
            return Ok(());
        }
        let now = self.clock.now();
        let of_session = self.limits.sessions.take(session, now);
        of_session.map_err(|retry_after| AppError::TooFast {
            what: "refreshes of this session",
            retry_after,
        })?;
        if let Some(address) = origin.address {
            let of_address = self.limits.networks.take(network(address), now);
            of_address.map_err(|retry_after| AppError::TooFast {
                what: "refreshes from your address",
                retry_after,
            })?;
        }
        Ok(())
    }

    /// Refuses a registration from an address that registers too many.
    pub(super) async fn limit_registration(&self, origin: Origin) -> Result<(), AppError> {
        let Some(address) = self.limits.address(origin) else { return Ok(()) };
        let taken = self.store.take(&[(Subject::registrations(address), REGISTRATIONS)]).await?;
        self.in_pace(taken, "registrations from your address")
    }

    /// Counts a wrong secret of a service, and refuses to say so if there have been too many.
    ///
    /// Only wrong ones come here: what is said of a right one is not changed by whoever sends wrong
    /// ones in its name.
    pub(super) async fn limit_wrong_secret(
        &self,
        client_id: &str,
        origin: Origin,
    ) -> Result<(), AppError> {
        let address =
            self.limits.address(origin).map(|address| (Subject::secrets(address), SECRETS));
        let paces: Vec<_> =
            [(Subject::service(client_id), SECRETS)].into_iter().chain(address).collect();
        let taken = self.store.take(&paces).await?;
        self.in_pace(taken, "wrong secrets of this service, or from your address")
    }

    /// Begins to prove the password of the user of this name, whether or not there is one: counts it
    /// as a failure, before anything is hashed.
    ///
    /// What waits longest waits without a count: an attempt is counted when its hash is next, and one
    /// that never gets there never is. Attempts under a name take turns here, so that those who know
    /// their password and log in at once are not each other's failures.
    pub(super) async fn begin_guess(
        &self,
        typed: &str,
        origin: Origin,
    ) -> Result<Guess<'_>, AppError> {
        let hash = self.passwords.admit()?;
        let name = Subject::name(typed);
        let turn = self.limits.guesses.turn(name).await;
        let hash = hash.turn().await;
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

    fn in_pace(&self, left: Option<Duration>, what: &'static str) -> Result<(), AppError> {
        left.map_or(Ok(()), |retry_after| Err(AppError::TooFast { what, retry_after }))
    }
}

/// An attempt to prove a password, whose turn it is.
#[derive(Debug)]
pub(super) struct Guess<'a> {
    attempt: Attempt,
    hash: passwords::Turn<'a>,
    _turn: Turn,
}

/// How fast each of many goes. Whoever has not come for a while is forgotten.
#[derive(Debug)]
struct Buckets<K> {
    pace: Pace,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    due: HashMap<K, Timestamp>,
    /// How large it becomes before it is looked through: twice as large as it was then, so that
    /// looking costs each call a constant share.
    sweep_at: usize,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(pace: Pace) -> Self {
        Self { pace, table: Mutex::new(Table { due: HashMap::new(), sweep_at: FEWEST }) }
    }

    fn take(&self, key: K, now: Timestamp) -> Result<(), Duration> {
        let mut table = locked(&self.table);
        if table.due.len() >= table.sweep_at {
            table.due.retain(|_, due| *due > now);
            table.due.shrink_to(FEWEST);
            table.sweep_at = (2 * table.due.len()).max(FEWEST);
        }
        let due = table.due.entry(key).or_default();
        *due = self.pace.take(*due, now)?;
        Ok(())
    }
}

/// One at a time under each name.
#[derive(Clone, Debug, Default)]
struct Turns(Arc<Mutex<HashMap<Subject, Arc<Semaphore>>>>);

impl Turns {
    async fn turn(&self, name: Subject) -> Turn {
        let semaphore =
            Arc::clone(locked(&self.0).entry(name).or_insert_with(|| Arc::new(Semaphore::new(1))));
        // Made before the wait: who is dropped there leaves nothing behind.
        let mut turn = Turn { turns: self.clone(), name, semaphore, permit: None };
        let permit = Arc::clone(&turn.semaphore).acquire_owned().await;
        turn.permit = Some(permit.expect("the semaphore is never closed"));
        turn
    }
}

/// A place among those who guess under a name, or wait for it.
#[derive(Debug)]
struct Turn {
    turns: Turns,
    name: Subject,
    semaphore: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit = None;
        let mut turns = locked(&self.turns.0);
        // The table's and this one: nobody waits, and who comes now waits for the table.
        if Arc::strong_count(&self.semaphore) == 2 {
            turns.remove(&self.name);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A table that is not looked through.
const FEWEST: usize = 1024;

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn what_has_no_recent_use_is_forgotten() {
        let buckets = Buckets::new(Pace::new(2, Duration::from_millis(100)));
        let mut largest = 0;
        for n in 0..100_000_u64 {
            buckets.take(n, START + Duration::from_millis(n)).unwrap();
            largest = largest.max(locked(&buckets.table).due.len());
        }
        assert!(largest <= FEWEST, "{largest}");
        // One that is in use is not: it is over its pace.
        let now = START + Duration::from_secs(200);
        for _ in 0..2 {
            buckets.take(u64::MAX, now).unwrap();
        }
        for n in 0..2 * FEWEST as u64 {
            buckets.take(n, now).unwrap();
        }
        assert!(buckets.take(u64::MAX, now).is_err());
    }

    #[tokio::test]
    async fn one_at_a_time_guesses_under_a_name_and_nothing_is_left_of_them() {
        let turns = Turns::default();
        let (name, other) = (Subject::name("a"), Subject::name("b"));
        let first = turns.turn(name).await;
        let _elsewhere = turns.turn(other).await;
        let mut second = Box::pin(turns.turn(name));
        let mut third = Box::pin(turns.turn(name));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(second);
        drop(first);
        drop(third.await);
        assert_eq!(locked(&turns.0).len(), 1, "the other name");
    }
}
