//! A store that ends with the process.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::{Changed, Record, Store, StoreFuture, StoreGuard, StoreWatch};

/// Keeps the record in memory. Clones share it, as processes share a file.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Slots>);

#[derive(Debug)]
struct Slots {
    lock: Arc<Mutex<()>>,
    record: watch::Sender<Option<Record>>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { lock: Arc::default(), record: watch::channel(None).0 }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the record without the lock, as only a broken process would. For tests.
    pub fn overwrite(&self, record: Option<Record>) {
        self.0.record.send_replace(record);
    }

    fn record(&self) -> Option<Record> {
        self.0.record.borrow().clone()
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
        Box::pin(async move { Ok(self.record()) })
    }

    fn watch(&self) -> Box<dyn StoreWatch> {
        Box::new(Watch(self.0.record.subscribe()))
    }
}

#[derive(Debug)]
struct Watch(watch::Receiver<Option<Record>>);

impl StoreWatch for Watch {
    fn changed(&mut self) -> Changed<'_> {
        Box::pin(async move {
            if self.0.changed().await.is_err() {
                // The store is gone, and nobody can change it any more.
                std::future::pending::<()>().await;
            }
        })
    }
}

#[derive(Debug)]
struct Guard {
    store: MemoryStore,
    _held: OwnedMutexGuard<()>,
}

impl StoreGuard for Guard {
    fn load(&mut self) -> StoreFuture<'_, Option<Record>> {
        Box::pin(async move { Ok(self.store.record()) })
    }

    fn save<'a>(&'a mut self, record: &'a Record) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.store.overwrite(Some(record.clone()));
            Ok(())
        })
    }

    fn clear(&mut self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.store.overwrite(None);
            Ok(())
        })
    }
}
