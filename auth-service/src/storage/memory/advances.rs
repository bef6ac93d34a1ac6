//! Moving sessions forward, a group at a time.

use std::sync::Arc;

use async_trait::async_trait;
use token::clock::{Clock, Timestamp};

use super::database::{Committed, MemoryDatabase, Tables};
use crate::storage::{
    error::StoreError,
    group_commit::{CommitGroup, Outcome},
    rows::push_nonces,
    store::{Advance, Advanced},
};

#[derive(Debug)]
pub(super) struct MemoryCommitter {
    database: MemoryDatabase,
    clock: Arc<dyn Clock>,
}

impl MemoryCommitter {
    pub(super) fn new(database: MemoryDatabase, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }
}

#[async_trait]
impl CommitGroup for MemoryCommitter {
    async fn commit(&self, group: &[Advance]) -> Result<Vec<Outcome>, StoreError> {
        self.database.pause().await;
        let now = self.clock.now();
        let mut outcomes = Vec::with_capacity(group.len());
        for advance in group {
            let moved = apply(&mut self.database.tables(), advance, now);
            if matches!(moved, Outcome::Advanced(_)) {
                self.database.note(Committed {
                    session_id: advance.session.0,
                    generation: advance.to.generation,
                    adopted: advance.adoption.is_some(),
                });
            }
            outcomes.push(moved);
        }
        self.database.pause().await;
        Ok(outcomes)
    }
}

fn apply(tables: &mut Tables, advance: &Advance, now: Timestamp) -> Outcome {
    if advance.deadline.passed(now) {
        return Outcome::TooLate;
    }
    let Some(session) = tables.sessions.get(&advance.session.0) else { return Outcome::Unmoved };
    let row = &session.row;
    let expected = row.head() == advance.expected
        && !row.revoked
        && row.absolute_until > now
        && row.idle_until.max(advance.idle_floor) > now
        && tables.is_active(session.user);
    if !expected {
        return Outcome::Unmoved;
    }
    let grants = tables.holder(session.user).grants;
    let session = tables.sessions.get_mut(&advance.session.0).expect("it was there above");
    let row = &mut session.row;
    row.nonces = push_nonces(advance, &row.nonces);
    row.generation = advance.to.generation;
    row.last_keyed = advance.to.keyed;
    row.rotated_at = row.rotated_at.max(now);
    row.idle_until = now + advance.idle_life;
    let advanced = Advanced { grants, rotated_at: row.rotated_at, idle_until: row.idle_until, now };
    if let Some(adoption) = &advance.adoption {
        tables.audit(&adoption.event);
    }
    Outcome::Advanced(advanced)
}
