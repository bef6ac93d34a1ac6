//! What may be run again.

/// Whether the database says that a transaction has left no trace and may be run again: it sacrificed
/// it to another one, or was shutting down or failing over before it could have done anything.
#[must_use]
pub fn was_rolled_back(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // Serialization failure, deadlock, read-only (a primary that became a standby), shutting down,
    // starting up.
    matches!(code.as_deref(), Some("40001" | "40P01" | "25006" | "57P01" | "57P02" | "57P03"))
}

/// How often a transaction is run before its failure is the caller's.
pub const ATTEMPTS: u32 = 5;
