//! Removing what nobody can need any more.

use std::time::Duration;

use crate::storage::{error::StoreError, store::Store};

/// What one round removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) sessions: u64,
    pub(crate) events: u64,
    pub(crate) counts: u64,
}

/// Removes sessions that no token can come back to, audit events past their retention, and counts of
/// attempts that say nothing any more, in batches small enough that refreshes get their turn between them.
pub(crate) async fn clean(
    store: &dyn Store,
    audit_retention: Duration,
) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    loop {
        let batch = store.remove_ended_sessions(KEPT_AFTER_THE_END, BATCH).await?;
        removed.sessions += batch;
        if batch < u64::from(BATCH) {
            break;
        }
    }
    loop {
        let batch = store.remove_old_events(audit_retention, BATCH).await?;
        removed.events += batch;
        if batch < u64::from(BATCH) {
            break;
        }
    }
    loop {
        let batch = store.remove_spent_counts(BATCH).await?;
        removed.counts += batch;
        // A batch of either kind may be full.
        if batch < u64::from(BATCH) {
            return Ok(removed);
        }
    }
}

/// Cleans now and every hour. What fails is tried again an hour later.
pub(crate) async fn keep_clean(store: &dyn Store, audit_retention: Duration) {
    let mut rounds = tokio::time::interval(INTERVAL);
    loop {
        rounds.tick().await;
        match clean(store, audit_retention).await {
            Ok(Removed { sessions: 0, events: 0, counts: 0 }) => {}
            Ok(Removed { sessions, events, counts }) => {
                tracing::info!(sessions, events, counts, "removed what had ended");
            }
            Err(error) => tracing::warn!(%error, "what has ended could not be removed"),
        }
    }
}

/// A row outlives every token of its session by more than any clock is off: without it, a token
/// would look like one of a forgotten session.
const KEPT_AFTER_THE_END: Duration = Duration::from_secs(86_400);
const BATCH: u32 = 200;
const INTERVAL: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use token::clock::{ManualClock, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::{
            audit::{AuditEvent, EventKind},
            id::{SessionId, UserId},
            session::RevokeReason,
        },
        storage::{
            sqlite::SqliteStore,
            store::{AuditStore as _, SessionStore as _},
        },
    };

    #[tokio::test]
    async fn a_round_removes_all_that_has_ended_batch_by_batch() {
        const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);
        let clock = Arc::new(ManualClock::at(START));
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path(), clock.clone()).await.unwrap();
        let many = 2 * u128::from(BATCH) + 1;
        let event = |n| AuditEvent {
            id: Uuid::from_u128(n),
            time: START,
            kind: EventKind::SessionRevoked,
            account: None,
            actor: None,
            session: None,
            address: None,
            device: String::new(),
            detail: String::new(),
        };
        // Tombstones will do, and bring an event each.
        for n in 0..many {
            let (session, user) = (SessionId(Uuid::from_u128(n)), UserId(Uuid::nil()));
            let (end, reason) = (START + Duration::from_secs(1), RevokeReason::Logout);
            assert!(store.revoke_session(session, user, end, reason, &event(n)).await.unwrap());
        }
        let many = u64::try_from(many).unwrap();
        let retention = 3 * KEPT_AFTER_THE_END;
        assert_eq!(clean(&store, retention).await.unwrap(), Removed::default());
        clock.set(START + KEPT_AFTER_THE_END + Duration::from_secs(2));
        let sessions = Removed { sessions: many, ..Removed::default() };
        assert_eq!(clean(&store, retention).await.unwrap(), sessions);
        clock.set(START + retention + Duration::from_secs(1));
        let events = Removed { events: many, ..Removed::default() };
        assert_eq!(clean(&store, retention).await.unwrap(), events);
        assert!(store.newest_events(1).await.unwrap().is_empty());
    }
}
