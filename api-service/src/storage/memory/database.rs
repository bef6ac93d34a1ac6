//! What is kept, and one server's use of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{changes::Log, transfer::Imports};
use crate::{
    domain::{
        category::Category,
        folder::Folder,
        id::{CategoryId, FolderId, TreeId},
        revision::Revision,
        tree::Tree,
    },
    storage::StoreError,
};

/// Trees, folders and categories in memory, for simulations: what a disk is to
/// [`Server::open`](crate::Server::open), this is to
/// [`Server::open_in_memory`](crate::Server::open_in_memory).
///
/// It starts empty. Clones share what is kept, which outlives the servers that are opened on it and
/// is gone with the last clone. Unlike a data directory, it may be used by several servers at once.
///
/// It starts no thread, asks neither the time nor for randomness, and keeps everything in an order
/// that depends on nothing but what was written: two runs that write the same read the same.
#[derive(Clone, Debug, Default)]
pub struct MemoryDatabase(Arc<Mutex<Tables>>);

/// Everything, by id.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) categories: BTreeMap<CategoryId, Category>,
    pub(super) folders: BTreeMap<FolderId, Folder>,
    pub(super) trees: BTreeMap<TreeId, Tree>,
    /// The ones that are kept, by tree and number; among them what each tree reads now.
    pub(super) revisions: BTreeMap<(TreeId, i64), Revision>,
    /// Which tree came first: a later one has a greater number.
    pub(super) search_numbers: BTreeMap<TreeId, i64>,
    pub(super) log: Log,
    pub(super) imports: Imports,
    pub(super) page_token_key: Option<[u8; 32]>,
}

/// A [`MemoryDatabase`] as one server uses it; closing it closes it for no other.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    database: MemoryDatabase,
    closed: AtomicBool,
}

impl MemoryStore {
    pub(crate) fn open(database: &MemoryDatabase) -> Self {
        Self { database: database.clone(), closed: AtomicBool::new(false) }
    }

    /// Everything, for one transaction: the guard must not live across an await. A transaction
    /// checks first and changes last, by steps that cannot fail, so that it is all or nothing.
    ///
    /// Other tasks get a turn before it, as they do while a database works: requests that may run
    /// into each other there do so here.
    pub(super) async fn transaction(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
        tokio::task::yield_now().await;
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable(sqlx::Error::PoolClosed));
        }
        Ok(self.now())
    }

    /// Everything, without giving anybody a turn.
    pub(super) fn now(&self) -> MutexGuard<'_, Tables> {
        // Whoever panicked did so while it was checking, and has changed nothing.
        self.database.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// An insert under an id that is taken, which ids are drawn to rule out.
pub(super) fn id_taken() -> StoreError {
    StoreError::Internal(sqlx::Error::InvalidArgument("the id is taken".into()))
}

/// How many items a list may have, as SQL has it: a negative limit is none.
pub(super) fn most(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
