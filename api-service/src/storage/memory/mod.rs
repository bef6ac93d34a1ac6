//! Memory: for simulations, in which no thread but the simulation's own may run.

mod categories;
mod changes;
mod database;
mod deletion;
mod folders;
mod merges;
mod revisions;
mod search;
mod store;
mod subtrees;
mod transfer;
mod trees;

#[cfg(test)]
mod tests;

pub use self::database::MemoryDatabase;
pub(crate) use self::database::MemoryStore;
