//! Memory: for simulations, in which no thread but the simulation's own may run.

mod categories;
mod database;
mod folders;
mod store;
mod trees;

#[cfg(test)]
mod tests;

pub use self::database::MemoryDatabase;
pub(crate) use self::database::MemoryStore;
