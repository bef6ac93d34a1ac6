//! What makes access tokens stale, and telling of it.

use std::time::Duration;

use async_trait::async_trait;
use token::clock::Timestamp;
use tokio::sync::watch;

use super::MemoryStore;
use crate::{
    domain::{
        audit::AuditEvent,
        id::{SessionId, UserId},
        revocation::{Revocation, Revoked},
        user::{Grants, LastAdmin, Role},
    },
    storage::{error::StoreError, revocations::RevocationStore},
};

#[async_trait]
impl RevocationStore for MemoryStore {
    async fn set_roles(
        &self,
        user: UserId,
        roles: &[Role],
        last: LastAdmin,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        self.write(|tables, now| {
            if last.forbids_roles(roles) {
                tables.leave_an_admin(user)?;
            }
            let row = tables.users.get_mut(&user.0);
            let Some(row) = row.filter(|row| row.user.grants.roles != roles) else {
                return Ok(false);
            };
            row.user.grants.roles = roles.to_vec();
            row.user.grants.version = Grants::next_version(row.user.grants.version, now);
            row.roles_changed_at = row.roles_changed_at.max(Some(now));
            tables.audit(event);
            Ok(true)
        })
        .await
    }

    async fn revocations_since(
        &self,
        since: Timestamp,
        life: Duration,
    ) -> Result<(Vec<Revocation>, Timestamp), StoreError> {
        Ok(self
            .read(|tables, now| {
                let sessions = tables.sessions.iter().filter_map(|(id, session)| {
                    let what = Revoked::Session(SessionId(*id));
                    Some(Revocation { what, at: session.revoked_at? })
                });
                let roles = tables.users.iter().filter_map(|(id, row)| {
                    let what = Revoked::Roles { holder: *id, version: row.user.grants.version };
                    Some(Revocation { what, at: row.roles_changed_at? })
                });
                let services = tables.services.iter().filter_map(|(id, row)| {
                    let what = Revoked::Roles { holder: *id, version: row.account.roles_version };
                    Some(Revocation { what, at: row.roles_changed_at? })
                });
                let all = sessions.chain(roles).chain(services);
                let since = since.max(now - life);
                (all.filter(|revocation| revocation.at >= since).collect(), now)
            })
            .await)
    }

    fn revoked(&self) -> watch::Receiver<()> {
        self.database.bell().listen()
    }
}
