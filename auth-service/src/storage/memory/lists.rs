//! The lists of administrators.

use std::cmp::Reverse;

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    domain::{
        audit::AuditEvent,
        listing::{EventFilter, EventPosition, NameRange, UserSummary},
        user::Status,
    },
    storage::{error::StoreError, lists::ListStore},
};

#[async_trait]
impl ListStore for MemoryStore {
    async fn page_token_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(self.write(|tables, _| *tables.page_token_key.get_or_insert(fresh)).await)
    }

    async fn list_users(
        &self,
        names: &NameRange,
        status: Option<Status>,
        limit: u32,
    ) -> Result<Vec<UserSummary>, StoreError> {
        let mut users: Vec<_> = self
            .read(|tables, _| {
                let rows = tables.users.values();
                let named = rows.filter(|row| names.from <= row.key && row.key < names.to);
                let users = named.map(|row| &row.user);
                let wanted = users.filter(|user| status.is_none_or(|status| user.status == status));
                let summary = wanted.map(|user| UserSummary {
                    id: user.id,
                    username: user.username.clone(),
                    status: user.status,
                    roles: user.grants.roles.clone(),
                    create_time: user.create_time,
                });
                summary.collect()
            })
            .await;
        users.sort_by_key(UserSummary::key);
        users.truncate(limit as usize);
        Ok(users)
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        before: EventPosition,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let position = |event: &AuditEvent| EventPosition { time: event.time, id: event.id };
        let mut events: Vec<_> = self
            .read(|tables, _| {
                let events = tables.events.iter();
                let taken = events.filter(|event| filter.takes(event) && position(event) < before);
                taken.cloned().collect()
            })
            .await;
        events.sort_by_key(|event| Reverse(position(event)));
        events.truncate(limit as usize);
        Ok(events)
    }
}
