//! Removing what nobody can need any more.

use std::time::Duration;

use crate::storage::{error::StoreError, store::Store};

/// What one round removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) sessions: u64,
    pub(crate) events: u64,
}

/// Removes sessions that no token can come back to, and audit events past their retention, in
/// batches small enough that refreshes get their turn between them.
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
            Ok(Removed { sessions: 0, events: 0 }) => {}
            Ok(Removed { sessions, events }) => {
                tracing::info!(sessions, events, "removed what had ended");
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
