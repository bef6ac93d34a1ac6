//! Users, and the sessions that are written together with them.

use async_trait::async_trait;
use token::clock::Timestamp;

use super::{
    MemoryStore,
    database::{SessionRow, Tables, UserRow},
};
use crate::{
    domain::{
        audit::AuditEvent,
        id::{SessionId, UserId},
        rotation::Row,
        secret::PasswordHash,
        session::NewSession,
        user::{Grants, LastAdmin, NewUser, PasswordVersion, Status, User},
    },
    storage::{error::StoreError, store::UserStore},
};

#[async_trait]
impl UserStore for MemoryStore {
    async fn create_user(
        &self,
        user: &NewUser,
        session: Option<&NewSession>,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        self.write(|tables, _| {
            let key = user.username.key().clone();
            if tables.users.values().any(|other| other.key == key) {
                return Err(StoreError::UsernameTaken);
            }
            let row = User {
                id: user.id,
                username: user.username.as_str().to_owned(),
                password: user.password.clone(),
                password_version: PasswordVersion(1),
                status: Status::Active,
                grants: Grants { roles: user.roles.clone(), version: 0 },
                create_time: user.create_time,
            };
            let sessions_valid_after = Timestamp::UNIX_EPOCH;
            tables.users.insert(
                user.id.0,
                UserRow { user: row, key, sessions_valid_after, roles_changed_at: None },
            );
            if let Some(session) = session {
                insert_proven(tables, session, PasswordVersion(1));
            }
            tables.audit(event);
            Ok(())
        })
        .await
    }

    async fn user_by_name(&self, key: &str) -> Result<Option<User>, StoreError> {
        Ok(self
            .read(|tables, _| {
                tables.users.values().find(|row| row.key == key).map(|row| row.user.clone())
            })
            .await)
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.read(|tables, _| tables.users.get(&id.0).map(|row| row.user.clone())).await)
    }

    async fn rehash_password(
        &self,
        user: UserId,
        proven: PasswordVersion,
        hash: &PasswordHash,
    ) -> Result<(), StoreError> {
        self.write(|tables, _| {
            let row = tables.users.get_mut(&user.0);
            if let Some(row) = row.filter(|row| row.user.password_version == proven) {
                row.user.password = hash.clone();
            }
        })
        .await;
        Ok(())
    }

    async fn change_password(
        &self,
        user: UserId,
        proven: PasswordVersion,
        hash: &PasswordHash,
        kept: SessionId,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, now| {
                let session = tables.sessions.get(&kept.0);
                let stands =
                    session.is_some_and(|session| session.user == user && !session.row.revoked);
                let row = tables.users.get_mut(&user.0).filter(|row| {
                    stands
                        && row.user.password_version == proven
                        && row.user.status == Status::Active
                });
                let Some(row) = row else { return false };
                row.user.password = hash.clone();
                row.user.password_version = PasswordVersion(proven.0 + 1);
                row.sessions_valid_after = row.sessions_valid_after.max(now);
                tables.revoke_all(user, Some(kept.0), now);
                tables.audit(event);
                true
            })
            .await)
    }

    async fn insert_session(
        &self,
        session: &NewSession,
        proven: PasswordVersion,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, _| {
                let inserted = insert_proven(tables, session, proven);
                if inserted {
                    tables.audit(event);
                }
                inserted
            })
            .await)
    }

    async fn set_status(
        &self,
        user: UserId,
        status: Status,
        last: LastAdmin,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        self.write(|tables, now| {
            if last.forbids_status(status) {
                tables.leave_an_admin(user)?;
            }
            let row = tables.users.get_mut(&user.0).filter(|row| row.user.status != status);
            let Some(row) = row else { return Ok(false) };
            row.user.status = status;
            if status == Status::Disabled {
                tables.end_all(user, now);
            }
            tables.audit(event);
            Ok(true)
        })
        .await
    }
}

/// Inserts the session only while its user's password and status are still those that were proven.
fn insert_proven(tables: &mut Tables, session: &NewSession, proven: PasswordVersion) -> bool {
    let user = tables.users.get(&session.user.0);
    let holds = user.is_some_and(|row| {
        row.user.password_version == proven && row.user.status == Status::Active
    });
    if holds {
        let row = Row::first(
            session.nonce,
            session.create_time,
            session.idle_until,
            session.absolute_until,
        );
        let inserted = SessionRow {
            user: session.user,
            device_name: session.device_name.clone(),
            create_time: session.create_time,
            auth_time: session.auth_time,
            row,
            revoked_at: None,
            forgotten: false,
        };
        tables.sessions.insert(session.id.0, inserted);
    }
    holds
}
