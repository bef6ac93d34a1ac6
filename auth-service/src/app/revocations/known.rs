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

/// What is known, beside all that the database has.
#[derive(Debug)]
pub(super) enum Comparison {
    /// The database lacks something that was known before: it is another one than then, a restored
    /// or failed-over copy. What is known of later readings may be true of it.
    AnotherDatabase { later: Vec<Revocation> },
    /// The same database has gone on.
    Differs {
        /// Places of what no token contradicts any more.
        over: Vec<u64>,
        news: Vec<Revocation>,
    },
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

    /// What of `read` is not known yet.
    pub(super) fn news(&self, read: &[Revocation]) -> Vec<Revocation> {
        read.iter().filter(|revocation| !self.says(revocation)).copied().collect()
    }

    /// Takes in what was read; what is known already is not new.
    pub(super) fn learn(&mut self, read: impl IntoIterator<Item = Revocation>) {
        for revocation in read {
            if self.says(&revocation) {
                continue;
            }
            if let Some(place) = self.places.get(&subject(&revocation)) {
                self.entries.remove(place);
            }
            self.last += 1;
            self.entries.insert(self.last, revocation);
            self.places.insert(subject(&revocation), self.last);
        }
    }

    /// What becomes of this when `all` is what the database had at `now`, and whatever is known up to
    /// the place `until` was known before it was read.
    pub(super) fn compare(&self, all: &[Revocation], now: Timestamp, until: u64) -> Comparison {
        let oldest = now - self.life;
        if self.lacks_any(all, oldest, until) {
            let later = self.entries.range(until.saturating_add(1)..);
            let later = later.map(|(_, known)| *known).collect();
            return Comparison::AnotherDatabase { later };
        }
        let over = self.entries.iter().filter(|(_, known)| known.at < oldest);
        let over = over.map(|(place, _)| *place).collect();
        Comparison::Differs { over, news: self.news(all) }
    }

    /// Forgets what is at these places.
    pub(super) fn forget(&mut self, places: &[u64]) {
        for place in places {
            if let Some(over) = self.entries.remove(place) {
                self.places.remove(&subject(&over));
            }
        }
    }

    /// Where the newest entry about the roles of this holder is.
    pub(super) fn place_of(&self, holder: Uuid) -> Option<u64> {
        self.places.get(&Subject::Holder(holder)).copied()
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

    /// Whether `all` lacks something that is known up to the place `until` and not over.
    fn lacks_any(&self, all: &[Revocation], oldest: Timestamp, until: u64) -> bool {
        let there: HashMap<_, _> = all.iter().map(|one| (subject(one), one)).collect();
        self.entries.range(..=until).any(|(_, known)| {
            let covered = there.get(&subject(known)).is_some_and(|one| covers(one, known));
            known.at >= oldest && !covered
        })
    }

    fn says(&self, revocation: &Revocation) -> bool {
        let place = self.places.get(&subject(revocation));
        place.is_some_and(|place| covers(&self.entries[place], revocation))
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
