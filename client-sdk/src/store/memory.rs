//! A store that ends with the process.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Record, Store, StoreFuture, StoreGuard};

/// Keeps the record in memory. Clones share it, as processes share a file.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Slots>);

#[derive(Debug, Default)]
struct Slots {
    lock: Arc<Mutex<()>>,
    record: std::sync::Mutex<Option<Record>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the record without the lock, as only a broken process would. For tests.
    pub fn overwrite(&self, record: Option<Record>) {
        *self.slot() = record;
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Record>> {
        self.0.record.lock().expect("nothing panics while holding the slot")
    }
}

impl Store for MemoryStore {
    fn lock(&self) -> StoreFuture<'_, Box<dyn StoreGuard>> {
        Box::pin(async move {
            let held = Arc::clone(&self.0.lock).lock_owned().await;
            Ok(Box::new(Guard { store: self.clone(), _held: held }) as Box<dyn StoreGuard>)
        })
    }

    fn load(&self) -> StoreFuture<'_, Option<Record>> {
        Box::pin(async move { Ok(self.slot().clone()) })
    }
}

#[derive(Debug)]
struct Guard {
    store: MemoryStore,
    _held: OwnedMutexGuard<()>,
}

impl StoreGuard for Guard {
    fn load(&mut self) -> StoreFuture<'_, Option<Record>> {
        Box::pin(async move { Ok(self.store.slot().clone()) })
    }

    fn save<'a>(&'a mut self, record: &'a Record) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            *self.store.slot() = Some(record.clone());
            Ok(())
        })
    }

    fn clear(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            *self.store.slot() = None;
            Ok(())
        })
    }
}
