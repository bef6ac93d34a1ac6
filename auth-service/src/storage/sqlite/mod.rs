//! The embedded backend: one file, one writer, any number of readers.

mod advances;
mod connection;
mod keys;
mod rows;
mod sessions;
mod users;

pub(crate) use self::connection::SqliteStore;

#[cfg(test)]
mod tests;
