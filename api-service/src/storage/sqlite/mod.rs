//! SQLite: a file in the data directory.

mod categories;
mod error;
mod folders;
mod open;
mod row;
mod store;
mod trees;

#[cfg(test)]
mod tests;

pub(crate) use self::open::{OpenError, SqliteStore};
