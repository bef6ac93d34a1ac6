//! Where a session keeps its tokens between runs.

mod file;
mod memory;
mod record;

use std::{fmt, future::Future, pin::Pin};

pub use self::{
    file::FileStore,
    memory::MemoryStore,
    record::{Attempt, InvalidRecord, Record},
};

/// A boxed future, so that stores can be trait objects.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps one session's [`Record`], for one process or for several.
///
/// What an implementation promises, and the safety of rotation rests on:
///
/// - a record is saved whole or not at all, and once [`StoreGuard::save`] has returned `Ok` it
///   survives a crash;
/// - at most one guard exists at a time over *all* processes that share the store. It is freed when
///   its holder drops it or dies, and is never taken away from a holder because of its age;
/// - what another process saved is seen by the next [`StoreGuard::load`].
///
/// A store that keeps a copy of its own without a shared lock (one browser tab of two) breaks the
/// second promise: the token service may then see an honest client as a thief.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Waits for the lock. The caller bounds the wait by dropping the future, after which the lock
    /// must not stay taken.
    fn lock(&self) -> StoreFuture<'_, Box<dyn StoreGuard>>;

    /// Reads without the lock.
    fn load(&self) -> StoreFuture<'_, Option<Record>>;
}

/// The lock of a [`Store`], held from before a refresh is decided on until its answer is saved.
pub trait StoreGuard: fmt::Debug + Send {
    /// What is stored now.
    fn load(&mut self) -> StoreFuture<'_, Option<Record>>;

    /// Replaces what is stored, durably.
    fn save<'a>(&'a mut self, record: &'a Record) -> StoreFuture<'a, ()>;

    /// Removes what is stored, durably.
    fn clear(&mut self) -> StoreFuture<'_, ()>;
}

/// A store could not be locked, read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
}

impl StoreError {
    /// An error that says `message`, which must name what failed and hold no secret.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
