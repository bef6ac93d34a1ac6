//! Sessions: reading one, moving one forward, ending one.

use std::{cmp::Reverse, time::Duration};

use async_trait::async_trait;
use token::{Nonce, clock::Timestamp};

use super::{
    MemoryStore,
    database::{SessionRow, Tables},
};
use crate::{
    domain::{
        audit::AuditEvent,
        forgotten,
        id::{SessionId, UserId},
        rotation::{Head, Row},
        session::{RevokeReason, Session},
    },
    storage::{
        error::StoreError,
        store::{Advance, Advanced, LostSession, SessionPosition, SessionStore},
    },
};

#[async_trait]
impl SessionStore for MemoryStore {
    async fn session(&self, id: SessionId) -> Result<(Option<Session>, Timestamp), StoreError> {
        Ok(self.read(|tables, now| (tables.session(id.0), now)).await)
    }

    async fn advance(&self, advance: Advance) -> Result<Option<Advanced>, StoreError> {
        self.advances.advance(advance).await
    }

    async fn recreate_session(
        &self,
        lost: &LostSession,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, _| {
                let user = tables.users.get(&lost.user.0);
                let allowed = user.is_some_and(|row| row.sessions_valid_after < lost.auth_time)
                    && tables.is_active(lost.user);
                if allowed && !tables.sessions.contains_key(&lost.id.0) {
                    let mut row = Row::first(
                        lost.head.nonce,
                        lost.issued_at,
                        lost.idle_until,
                        lost.absolute_until,
                    );
                    row.generation = lost.head.generation;
                    let session = SessionRow {
                        user: lost.user,
                        device_name: String::new(),
                        create_time: lost.auth_time,
                        auth_time: lost.auth_time,
                        row,
                        revoked_at: None,
                        forgotten: false,
                    };
                    tables.sessions.insert(lost.id.0, session);
                    tables.audit(event);
                }
                allowed
            })
            .await)
    }

    async fn revoke_if_unmoved(
        &self,
        session: SessionId,
        seen: Head,
        _: RevokeReason,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, now| {
                let row = tables.sessions.get_mut(&session.0);
                let unmoved =
                    |theirs: &&mut SessionRow| theirs.row.head() == seen && !theirs.row.revoked;
                let Some(row) = row.filter(unmoved) else { return false };
                row.revoke(now);
                tables.audit(event);
                true
            })
            .await)
    }

    async fn revoke_session(
        &self,
        session: SessionId,
        user: UserId,
        absolute_until: Timestamp,
        reason: RevokeReason,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        let is_forgotten = reason.of_unknown() == RevokeReason::Forgotten;
        self.write(|tables, now| {
            match tables.sessions.get_mut(&session.0) {
                Some(theirs) if theirs.user != user => return Ok(false),
                Some(revoked) if revoked.row.revoked => return Ok(true),
                Some(live) => live.revoke(now),
                None if absolute_until <= now => return Ok(true),
                None => {
                    let wait = forgotten::wait(oldest_forgotten(tables, user), now);
                    if let Some(retry_after) = wait.filter(|_| is_forgotten) {
                        return Err(StoreError::TooManyForgotten { retry_after });
                    }
                    let nonce = Nonce::from_bytes([0; 16]);
                    let mut row = Row::first(nonce, now, absolute_until, absolute_until);
                    row.revoked = true;
                    let tombstone = SessionRow {
                        user,
                        device_name: String::new(),
                        create_time: now,
                        auth_time: now,
                        row,
                        revoked_at: Some(now),
                        forgotten: is_forgotten,
                    };
                    tables.sessions.insert(session.0, tombstone);
                }
            }
            tables.audit(event);
            Ok(true)
        })
        .await
    }

    async fn revoke_all_sessions(
        &self,
        user: UserId,
        event: &AuditEvent,
    ) -> Result<u64, StoreError> {
        Ok(self
            .write(|tables, now| {
                let live = |session: &&SessionRow| session.user == user && is_live(session, now);
                let live = tables.sessions.values().filter(live).count();
                tables.end_all(user, now);
                tables.audit(event);
                live as u64
            })
            .await)
    }

    async fn live_sessions(
        &self,
        user: UserId,
        after: Option<SessionPosition>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        Ok(self
            .read(|tables, now| {
                let mut live: Vec<_> = tables
                    .sessions
                    .iter()
                    .filter(|(_, session)| session.user == user && is_live(session, now))
                    .map(|(id, session)| (session.create_time, *id))
                    .filter(|place| after.is_none_or(|at| *place < (at.create_time, at.id.0)))
                    .collect();
                live.sort_by_key(|place| Reverse(*place));
                live.truncate(limit as usize);
                live.into_iter().filter_map(|(_, id)| tables.session(id)).collect()
            })
            .await)
    }

    async fn remove_ended_sessions(
        &self,
        ended_for: Duration,
        limit: u32,
    ) -> Result<u64, StoreError> {
        Ok(self
            .write(|tables, now| {
                let ended: Vec<_> = tables
                    .sessions
                    .iter()
                    .filter(|(_, session)| {
                        let last = session.revoked_at.max(Some(session.row.absolute_until));
                        last < Some(now - ended_for)
                    })
                    .map(|(id, _)| *id)
                    .take(limit as usize)
                    .collect();
                for id in &ended {
                    tables.sessions.remove(id);
                }
                ended.len() as u64
            })
            .await)
    }
}

/// The instant of a user's newest tombstone of an unknown session but as many as may count less one.
fn oldest_forgotten(tables: &Tables, user: UserId) -> Option<Timestamp> {
    let theirs = tables.sessions.values().filter(|session| session.user == user);
    let mut all: Vec<_> = theirs
        .filter(|session| session.forgotten)
        .filter_map(|session| session.revoked_at)
        .collect();
    all.sort_by_key(|at| Reverse(*at));
    all.get(forgotten::MOST as usize - 1).copied()
}

fn is_live(session: &SessionRow, now: Timestamp) -> bool {
    let row = &session.row;
    !row.revoked && row.idle_until > now && row.absolute_until > now
}
