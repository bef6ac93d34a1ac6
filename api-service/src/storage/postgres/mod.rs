//! PostgreSQL: the backend of several instances, all of whose state is in one database.
//!
//! Everything runs at the isolation level READ COMMITTED. Who writes one owner's trees or folders
//! holds that owner's lock first (`lock.rs`), so that these writes happen one after another, as on
//! SQLite; only then are rows locked, categories before trees. What the database sacrifices all the
//! same (SQLSTATE 40001, 40P01) is run again.
//!
//! The tables have a schema of their own, so that both services can share a database.

mod categories;
mod changes;
mod deletion;
pub(super) mod error;
mod folders;
mod lock;
mod merges;
mod new_trees;
mod open;
mod retry;
mod revisions;
mod search;
mod store;
mod subtrees;
mod transfer;
mod tree_row;
mod trees;

#[cfg(test)]
mod tests;

pub(crate) use self::open::{MIGRATIONS, OpenError, PostgresStore, RIGHTS, SCHEMA};
