//! The clock of the database.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::storage::error::StoreError;

/// The SQL expression for the present, in milliseconds since the Unix epoch: instances whose own
/// clocks differ decide by this one alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DatabaseClock(&'static str);

impl DatabaseClock {
    /// The database server's clock as it is when the expression is evaluated, which is after any
    /// wait for a lock that came before.
    pub(crate) const SERVER: Self = Self("(extract(epoch FROM clock_timestamp()) * 1000)::bigint");

    #[cfg(test)]
    pub(super) const fn of_test(expression: &'static str) -> Self {
        Self(expression)
    }

    /// `template` with the expression in place of every `{now}`.
    pub(super) fn within(self, template: &str) -> Arc<str> {
        template.replace("{now}", self.0).into()
    }

    /// The present, in the unit of the columns.
    pub(crate) async fn read(self, connection: &mut PgConnection) -> Result<i64, StoreError> {
        let statement = self.within("SELECT {now}");
        Ok(sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(connection).await?)
    }
}
