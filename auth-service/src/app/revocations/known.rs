//! What a feed knows, in the order in which it learnt of it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use token::clock::Timestamp;
use uuid::Uuid;

use crate::domain::{
    id::SessionId,
    revocation::{Revocation, Revoked},
};

/// A revocation as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) what: Revoked,
    /// No access token that is concerned runs out later.
    pub(crate) expires: Timestamp,
}

/// Every revocation that a good access token may still contradict.
#[derive(Debug)]
pub(super) struct Known {
    /// What the sequence belongs to.
    pub(super) incarnation: u64,
    /// Of the newest entry there has been.
    pub(super) last: u64,
    /// How long after a revocation the last token can run out that it concerns.
    life: Duration,
    entries: BTreeMap<u64, Revocation>,
    places: HashMap<Subject, u64>,
}

/// What there is one entry of at the most: of a holder's roles the newest count covers the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Holder(Uuid),
    Session(SessionId),
}

impl Known {
    pub(super) fn new(incarnation: u64, life: Duration) -> Self {
        Self { incarnation, last: 0, life, entries: BTreeMap::new(), places: HashMap::new() }
    }

    /// Takes in what was read; what is known already is not new.
    pub(super) fn learn(&mut self, read: impl IntoIterator<Item = Revocation>) {
        for revocation in read {
            let place = self.places.get(&subject(&revocation)).copied();
            if place.is_some_and(|place| covers(&self.entries[&place], &revocation)) {
                continue;
            }
            if let Some(place) = place {
                self.entries.remove(&place);
            }
            self.last += 1;
            self.entries.insert(self.last, revocation);
            self.places.insert(subject(&revocation), self.last);
        }
    }

    /// Takes in all that the database has now, and forgets what no token contradicts any more.
    /// `false`, and nothing done, if the database lacks something that is known: it is another one
    /// than before, a restored or failed-over copy.
    pub(super) fn replace(&mut self, all: &[Revocation], now: Timestamp) -> bool {
        let there: HashMap<_, _> = all.iter().map(|one| (subject(one), one)).collect();
        let oldest = now - self.life;
        let lacks = self.entries.values().any(|known| {
            let covered = there.get(&subject(known)).is_some_and(|one| covers(one, known));
            known.at >= oldest && !covered
        });
        if lacks {
            return false;
        }
        self.entries.retain(|_, known| known.at >= oldest);
        self.places.retain(|_, place| self.entries.contains_key(place));
        self.learn(all.iter().copied());
        true
    }

    /// Up to `limit` entries after the place `after` up to and including `until`, in their order,
    /// each with its place.
    pub(super) fn after(
        &self,
        after: u64,
        until: u64,
        limit: usize,
    ) -> impl Iterator<Item = (u64, Told)> {
        let entries = self.entries.range(after.saturating_add(1)..);
        let entries = entries.take_while(move |(place, _)| **place <= until).take(limit);
        entries.map(|(place, entry)| (*place, self.told(entry)))
    }

    fn told(&self, revocation: &Revocation) -> Told {
        // A token's `exp` has no fraction of a second; rounded up, this is not before it.
        let expires = revocation.at + self.life + Duration::from_millis(999);
        Told { what: revocation.what, expires: expires.floor_to_second() }
    }
}

fn subject(revocation: &Revocation) -> Subject {
    match revocation.what {
        Revoked::Roles { holder, .. } => Subject::Holder(holder),
        Revoked::Session(session) => Subject::Session(session),
    }
}

/// Whether `one` says all that `other`, of the same subject, says.
fn covers(one: &Revocation, other: &Revocation) -> bool {
    let version = |revocation: &Revocation| match revocation.what {
        Revoked::Roles { version, .. } => version,
        Revoked::Session(_) => 0,
    };
    version(one) >= version(other) && one.at >= other.at
}
