//! What is counted.

use std::time::Duration;

use async_trait::async_trait;
use token::clock::Timestamp;

use super::{MemoryStore, database::Tables};
use crate::{
    domain::{
        audit::AuditEvent,
        guessing::{Counted, FORGOTTEN_AFTER, Guesses},
        pace::{Pace, Subject},
    },
    storage::{
        error::StoreError,
        limits::{Attempt, Begun, LimitStore},
    },
};

#[async_trait]
impl LimitStore for MemoryStore {
    async fn begin_attempt(
        &self,
        name: Subject,
        address: Option<(Subject, Pace)>,
    ) -> Result<Begun, StoreError> {
        Ok(self
            .write(|tables, now| {
                let due = match address
                    .map(|(subject, pace)| (subject, tables.take(subject, pace, now)))
                {
                    None => None,
                    Some((_, Err(left))) => return Begun::TooMany(left),
                    Some((subject, Ok(due))) => Some((subject, due)),
                };
                let row = tables.guesses.get(&name).copied().unwrap_or_default();
                let (guesses, locks) = match row.count(now) {
                    Counted::Locked(left) => return Begun::Locked(left),
                    Counted::Attempt { guesses, locks } => (guesses, locks),
                };
                tables.paces.extend(due);
                tables.guesses.insert(name, guesses);
                Begun::Attempt(Attempt { name, address, number: guesses.attempts, locks })
            })
            .await)
    }

    async fn forgive(&self, attempt: &Attempt) -> Result<(), StoreError> {
        self.write(|tables, _| {
            if let Some((subject, pace)) = attempt.address
                && let Some(due) = tables.paces.get_mut(&subject)
            {
                *due = pace.give_back(*due);
            }
            if let Some(guesses) = tables.guesses.get_mut(&attempt.name) {
                *guesses = guesses.forgive(attempt.number);
            }
        })
        .await;
        Ok(())
    }

    async fn unlock(&self, name: Subject, event: &AuditEvent) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, _| {
                let Some(guesses) = tables.guesses.get_mut(&name).filter(|row| row.counts()) else {
                    return false;
                };
                *guesses = guesses.unlock();
                tables.audit(event);
                true
            })
            .await)
    }

    async fn take(&self, paces: &[(Subject, Pace)]) -> Result<Option<Duration>, StoreError> {
        Ok(self
            .write(|tables, now| {
                let taken: Result<Vec<_>, _> = paces
                    .iter()
                    .map(|(subject, pace)| Ok((*subject, tables.take(*subject, *pace, now)?)))
                    .collect();
                match taken {
                    Ok(taken) => {
                        tables.paces.extend(taken);
                        None
                    }
                    Err(left) => Some(left),
                }
            })
            .await)
    }

    async fn remove_spent_counts(&self, limit: u32) -> Result<u64, StoreError> {
        Ok(self
            .write(|tables, now| {
                let forgotten = |row: &Guesses| row.last_attempt < now - FORGOTTEN_AFTER;
                let spent = tables.guesses.iter().filter(|(_, row)| forgotten(row));
                let spent: Vec<_> =
                    spent.map(|(subject, _)| *subject).take(limit as usize).collect();
                let made_up = tables.paces.iter().filter(|(_, due)| **due < now);
                let made_up: Vec<_> =
                    made_up.map(|(subject, _)| *subject).take(limit as usize).collect();
                for subject in &spent {
                    tables.guesses.remove(subject);
                }
                for subject in &made_up {
                    tables.paces.remove(subject);
                }
                (spent.len() + made_up.len()) as u64
            })
            .await)
    }
}

impl Tables {
    fn take(&self, subject: Subject, pace: Pace, now: Timestamp) -> Result<Timestamp, Duration> {
        pace.take(self.paces.get(&subject).copied().unwrap_or_default(), now)
    }
}
