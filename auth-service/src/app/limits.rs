//! What is too much: calls from an address, or for a session.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use token::clock::Timestamp;
use transport::metrics::Counter;

use crate::{
    app::{audit::Origin, context::App, error::AppError, turns::Turns},
    domain::{
        id::SessionId,
        network::Networks,
        pace::{
            MISMATCHES, Pace, REFRESHES, REFRESHES_OF_ADDRESS, REGISTRATIONS, SECRETS, Subject,
            network,
        },
    },
};

/// What one process counts by itself, and what it counts at all.
#[derive(Debug)]
pub(crate) struct Limits {
    loopback: bool,
    proxies: Networks,
    pub(super) guesses: Turns,
    sessions: Buckets<SessionId>,
    /// Apart from [`Self::sessions`], which are their owners' to use up.
    mismatches: Buckets<SessionId>,
    networks: Buckets<Vec<u8>>,
}

impl Limits {
    /// Without `loopback`, calls from this very machine are limited by name alone. Those from one of
    /// `proxies` are by no address. Under one name `waiting` guesses may wait for their turn.
    pub(crate) fn new(loopback: bool, proxies: Networks, waiting: usize) -> Self {
        Self {
            loopback,
            proxies,
            guesses: Turns::new(waiting),
            sessions: Buckets::new(REFRESHES),
            mismatches: Buckets::new(MISMATCHES),
            networks: Buckets::new(REFRESHES_OF_ADDRESS),
        }
    }

    /// The address that a call is counted by: none if everybody's calls may come from there.
    pub(super) fn address(&self, origin: Origin) -> Option<IpAddr> {
        let counts = |address: &IpAddr| {
            (self.loopback || !address.is_loopback()) && !self.proxies.contain(*address)
        };
        origin.address.filter(counts)
    }

    fn is_exempt(&self, origin: Origin) -> bool {
        !self.loopback && origin.address.is_some_and(|address| address.is_loopback())
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
        of_session.map_err(|retry_after| {
            self.meters.limited.refreshes_of_session.inc();
            AppError::TooFast { what: "refreshes of this session", retry_after }
        })?;
        self.limit_address(origin)
    }

    /// Refuses to look any further at a session's token without its key, if that has been shown too
    /// often, or from an address as above. Each is an audit event, and whoever has one stolen token must
    /// not have those of others be lost; so this counts wherever they ask from.
    pub(super) fn limit_mismatch(
        &self,
        session: SessionId,
        origin: Origin,
    ) -> Result<(), AppError> {
        let of_session = self.limits.mismatches.take(session, self.clock.now());
        of_session.map_err(|retry_after| {
            self.meters.limited.mismatches_of_session.inc();
            AppError::TooFast { what: "uses of this session without its key", retry_after }
        })?;
        self.limit_address(origin)
    }

    /// The same of the address alone.
    pub(super) fn limit_address(&self, origin: Origin) -> Result<(), AppError> {
        let Some(address) = self.limits.address(origin) else { return Ok(()) };
        let of_address = self.limits.networks.take(network(address), self.clock.now());
        of_address.map_err(|retry_after| {
            self.meters.limited.refreshes_of_address.inc();
            AppError::TooFast { what: "refreshes from your address", retry_after }
        })
    }

    /// Refuses a registration from an address that registers too many.
    pub(super) async fn limit_registration(&self, origin: Origin) -> Result<(), AppError> {
        let Some(address) = self.limits.address(origin) else { return Ok(()) };
        let taken = self.store.take(&[(Subject::registrations(address), REGISTRATIONS)]).await?;
        let limited = &self.meters.limited.registrations_of_address;
        in_pace(taken, "registrations from your address", limited)
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
        let what = "wrong secrets of this service, or from your address";
        in_pace(taken, what, &self.meters.limited.wrong_secrets)
    }
}

fn in_pace(left: Option<Duration>, what: &'static str, limited: &Counter) -> Result<(), AppError> {
    left.map_or(Ok(()), |retry_after| {
        limited.inc();
        Err(AppError::TooFast { what, retry_after })
    })
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A table that is not looked through.
const FEWEST: usize = 1024;

#[cfg(test)]
mod tests {
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
}
