//! The lists of administrators.

use async_trait::async_trait;

use crate::{
    domain::{
        audit::AuditEvent,
        listing::{EventFilter, EventPosition, NameRange, UserSummary},
        user::Status,
    },
    storage::{
        error::StoreError,
        lists::{ListStore, events},
        postgres::PostgresStore,
        rows::{EventLookup, SummaryLookup, decode, inconsistent},
    },
};

#[async_trait]
impl ListStore for PostgresStore {
    async fn page_token_key(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        sqlx::query(
            "INSERT INTO secrets (name, value) VALUES ('page_token', $1)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(&fresh[..])
        .execute(&self.pool)
        .await?;
        let kept: Vec<u8> =
            sqlx::query_scalar("SELECT value FROM secrets WHERE name = 'page_token'")
                .fetch_one(&self.pool)
                .await?;
        kept.try_into().map_err(|_| inconsistent("secrets", "value", "page_token"))
    }

    async fn list_users(
        &self,
        names: &NameRange,
        status: Option<Status>,
        limit: u32,
    ) -> Result<Vec<UserSummary>, StoreError> {
        let statement = match status {
            None => USERS,
            Some(Status::Active) => USERS_ACTIVE,
            Some(Status::Disabled) => USERS_DISABLED,
        };
        let query = sqlx::query(statement).bind(&names.from).bind(&names.to).bind(i64::from(limit));
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter().map(decode::<_, SummaryLookup, _>).collect()
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        before: EventPosition,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let rows = events(filter, before, limit).fetch_all(&self.pool).await?;
        rows.iter().map(decode::<_, EventLookup, _>).collect()
    }
}

pub(super) const USERS: &str = r#"SELECT id, username, status, roles, create_time FROM users
     WHERE username_key COLLATE "C" >= $1 AND username_key COLLATE "C" < $2
     ORDER BY username_key COLLATE "C" LIMIT $3"#;
pub(super) const USERS_ACTIVE: &str = r#"SELECT id, username, status, roles, create_time FROM users
     WHERE status = 'active' AND username_key COLLATE "C" >= $1 AND username_key COLLATE "C" < $2
     ORDER BY username_key COLLATE "C" LIMIT $3"#;
pub(super) const USERS_DISABLED: &str = r#"SELECT id, username, status, roles, create_time FROM users
     WHERE status = 'disabled' AND username_key COLLATE "C" >= $1 AND username_key COLLATE "C" < $2
     ORDER BY username_key COLLATE "C" LIMIT $3"#;
