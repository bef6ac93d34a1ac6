//! SQLite: a file in the data directory.

mod categories;
mod changes;
mod deletion;
mod error;
mod folders;
mod merges;
mod new_trees;
mod open;
mod revisions;
mod search;
mod store;
mod subtrees;
mod transfer;
mod tree_row;
mod trees;

#[cfg(test)]
mod tests;

pub(crate) use self::open::{FILE, MIGRATIONS, OpenError, SqliteStore};
