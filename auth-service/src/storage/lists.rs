//! What the lists of administrators ask of storage.

use std::fmt;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Database, Encode, Type};
use uuid::Uuid;

use crate::{
    domain::{
        audit::AuditEvent,
        listing::{EventFilter, EventPosition, NameRange, UserSummary},
        user::Status,
    },
    storage::{error::StoreError, rows::Query},
};

/// Users and audit events, a page at a time.
#[async_trait]
pub(crate) trait ListStore: fmt::Debug + Send + Sync {
    /// The key that page tokens are sealed with, which all instances share: `fresh`, if there was
    /// none.
    async fn page_token_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// The first users of these names, of one status if it is given, by name.
    async fn list_users(
        &self,
        names: &NameRange,
        status: Option<Status>,
        limit: u32,
    ) -> Result<Vec<UserSummary>, StoreError>;

    /// The last events before a place, newest first.
    async fn list_events(
        &self,
        filter: &EventFilter,
        before: EventPosition,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError>;
}

/// The statement of [`ListStore::list_events`]: time and id of the place, the limit, and then each of
/// the filters that is given. One that named those that are not could be planned for none of them.
pub(super) fn events_statement(filter: &EventFilter) -> String {
    let mut statement = "SELECT id, time, kind, user_id, session_id, address, device, actor, detail
         FROM audit_events WHERE (time, id) < ($1, $2)"
        .to_owned();
    let filters = [
        ("kind =", filter.kind.is_some()),
        ("user_id =", filter.account.is_some()),
        ("session_id =", filter.session.is_some()),
        ("time >=", filter.since.is_some()),
    ];
    for (n, (condition, _)) in (4..).zip(filters.iter().filter(|(_, given)| *given)) {
        statement += &format!(" AND {condition} ${n}");
    }
    statement + " ORDER BY time DESC, id DESC LIMIT $3"
}

/// The query of [`ListStore::list_events`].
pub(super) fn events<DB>(filter: &EventFilter, before: EventPosition, limit: u32) -> Query<DB>
where
    DB: Database,
    for<'q> &'static str: Encode<'q, DB> + Type<DB>,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    let mut query = sqlx::query(AssertSqlSafe(events_statement(filter)))
        .bind(before.time.unix_millis())
        .bind(before.id)
        .bind(i64::from(limit));
    if let Some(kind) = filter.kind {
        query = query.bind(kind.as_str());
    }
    if let Some(account) = filter.account {
        query = query.bind(account);
    }
    if let Some(session) = filter.session {
        query = query.bind(session.0);
    }
    if let Some(since) = filter.since {
        query = query.bind(since.unix_millis());
    }
    query
}
