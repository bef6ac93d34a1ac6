//! Service accounts.

use async_trait::async_trait;
use token::clock::Timestamp;

use super::{MemoryStore, database::ServiceRow};
use crate::{
    domain::{
        audit::AuditEvent,
        id::ServiceId,
        service_account::{
            NewServiceAccount, Overlap, SecretHash, SecretRotation, ServiceAccount, has_room,
        },
        user::{Grants, Status},
    },
    storage::{error::StoreError, store::ServiceStore},
};

#[async_trait]
impl ServiceStore for MemoryStore {
    async fn create_service(
        &self,
        service: &NewServiceAccount,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        self.write(|tables, _| {
            let key = service.name.key();
            if tables.services.values().any(|other| other.key == key) {
                return Err(StoreError::ServiceNameTaken);
            }
            let account = ServiceAccount {
                id: service.id,
                secret: service.secret,
                replaced_secrets: vec![],
                status: Status::Active,
                roles: service.roles.clone(),
                roles_version: 0,
            };
            let row = ServiceRow { account, key, replaced: vec![], roles_changed_at: None };
            tables.services.insert(service.id.0, row);
            tables.audit(event);
            Ok(())
        })
        .await
    }

    async fn service(&self, id: ServiceId) -> Result<Option<ServiceAccount>, StoreError> {
        Ok(self
            .read(|tables, now| {
                let row = tables.services.get(&id.0)?;
                let good = row.replaced.iter().filter(|(_, until)| *until > now);
                let replaced_secrets = good.map(|(secret, _)| *secret).collect();
                Some(ServiceAccount { replaced_secrets, ..row.account.clone() })
            })
            .await)
    }

    async fn service_by_name(&self, key: &str) -> Result<Option<ServiceId>, StoreError> {
        Ok(self
            .read(|tables, _| {
                tables.services.values().find(|row| row.key == key).map(|row| row.account.id)
            })
            .await)
    }

    async fn rotate_service_secret(
        &self,
        id: ServiceId,
        secret: &SecretHash,
        overlap: Overlap,
        event: &AuditEvent,
    ) -> Result<SecretRotation, StoreError> {
        Ok(self
            .write(|tables, now| {
                let Some(row) = tables.services.get_mut(&id.0) else {
                    return SecretRotation::NoSuchAccount;
                };
                let is_kept = |until: Timestamp| !overlap.is_zero() && until > now;
                let kept = || row.replaced.iter().filter(|(_, until)| is_kept(*until));
                if !has_room(kept().count()) {
                    let next = kept().map(|(_, until)| *until).min();
                    return SecretRotation::TooMany(next.expect("there are several"));
                }
                row.replaced.retain(|(_, until)| is_kept(*until));
                if !overlap.is_zero() {
                    row.replaced.push((row.account.secret, now + overlap.duration()));
                }
                row.account.secret = *secret;
                tables.audit(event);
                SecretRotation::Done
            })
            .await)
    }

    async fn set_service_status(
        &self,
        id: ServiceId,
        status: Status,
        event: &AuditEvent,
    ) -> Result<bool, StoreError> {
        Ok(self
            .write(|tables, now| {
                let row = tables.services.get_mut(&id.0);
                let Some(row) = row.filter(|row| row.account.status != status) else {
                    return false;
                };
                row.account.status = status;
                if status == Status::Disabled {
                    row.account.roles_version =
                        Grants::next_version(row.account.roles_version, now);
                    row.roles_changed_at = row.roles_changed_at.max(Some(now));
                }
                tables.audit(event);
                true
            })
            .await)
    }
}
