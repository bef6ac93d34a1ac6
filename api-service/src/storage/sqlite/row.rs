//! From columns to domain types. A value that no version of this program writes is named by table,
//! column and row.

use std::fmt;

use token::clock::Timestamp;
use uuid::Uuid;

use crate::storage::StoreError;

/// A row being read: where a bad value is.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    table: &'static str,
    row: &'a dyn fmt::Display,
}

impl<'a> At<'a> {
    pub(super) fn row(table: &'static str, row: &'a dyn fmt::Display) -> Self {
        Self { table, row }
    }

    pub(super) fn bad(self, column: &'static str) -> StoreError {
        StoreError::inconsistent(self.table, column, self.row)
    }

    pub(super) fn uuid(self, column: &'static str, bytes: &[u8]) -> Result<Uuid, StoreError> {
        Uuid::from_slice(bytes).map_err(|_| self.bad(column))
    }

    pub(super) fn int(self, column: &'static str, value: i64) -> Result<i32, StoreError> {
        i32::try_from(value).map_err(|_| self.bad(column))
    }

    pub(super) fn instant(
        self,
        column: &'static str,
        millis: i64,
    ) -> Result<Timestamp, StoreError> {
        // Instants on the wire end with the year 9999.
        const LAST: i64 = 253_402_300_799_999;
        if (0..=LAST).contains(&millis) {
            Ok(Timestamp::from_unix_millis(millis))
        } else {
            Err(self.bad(column))
        }
    }
}

/// A row's id as it can be shown before it is known to be one.
pub(super) fn shown(id: &[u8]) -> String {
    Uuid::from_slice(id).map_or_else(|_| format!("{id:02x?}"), |id| id.to_string())
}
