//! Where a session keeps its tokens between runs.
//!
//! | | survives | shared by processes |
//! | --- | --- | --- |
//! | [`MemoryStore`] | nothing | no |
//! | [`FileStore`] | restarts | yes |
//! | `KeyringStore` (feature `keyring`) | restarts, encrypted by the operating system | yes |
//!
//! For another place implement [`Store`], and let
//! [`store_contract`](crate::testing::store_contract) judge it.

mod blocking;
mod error;
mod file;
#[cfg(feature = "keyring")]
mod keyring;
mod lock;
mod memory;
mod private;
mod record;
mod watch;

use std::{fmt, future::Future, pin::Pin};

#[cfg(feature = "keyring")]
pub use self::keyring::KeyringStore;
pub use self::{
    error::{StoreError, StoreErrorKind},
    file::FileStore,
    memory::MemoryStore,
    record::{Attempt, InvalidRecord, Record},
    watch::{Changed, NeverChanges, StoreWatch},
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
/// [`store_contract`](crate::testing::store_contract) checks what can be checked from outside.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Waits for the lock. The caller bounds the wait by dropping the future, after which the lock
    /// must not stay taken.
    fn lock(&self) -> StoreFuture<'_, Box<dyn StoreGuard>>;

    /// Reads without the lock.
    fn load(&self) -> StoreFuture<'_, Option<Record>>;

    /// Watches for changes from now on, so that a session learns without a call that another process
    /// has signed in, refreshed or logged out. It must not block for long.
    ///
    /// By default nothing is ever told. A session is safe without it: every refresh reads the store
    /// anew.
    fn watch(&self) -> Box<dyn StoreWatch> {
        Box::new(NeverChanges)
    }
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
