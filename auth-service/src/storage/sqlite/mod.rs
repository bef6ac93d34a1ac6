//! The embedded backend: one file, one writer, any number of readers.

mod connection;
mod keys;
mod rows;
mod sessions;
mod users;

pub(crate) use self::connection::SqliteStore;

#[cfg(test)]
mod tests;
