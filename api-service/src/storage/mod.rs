//! What is kept, behind one trait, which is made of one for each kind of thing.

mod error;
#[cfg(any(test, feature = "simulation"))]
pub(crate) mod memory;
pub(crate) mod postgres;
mod rows;
pub(crate) mod sqlite;
mod statements;
mod store;
mod stored_nodes;

#[cfg(test)]
mod contract;

pub(crate) use self::{
    error::StoreError,
    store::{
        CategoryKey, CategoryStore, ChangeKey, ChangeStore, Changes, Deleted, DeletedKey,
        DeletionStore, FolderKey, FolderStore, Found, ImportError, ImportStep, MergeStore,
        RevisionStore, SearchKey, SearchStore, Step, Store, SubtreeStore, Target, Tier,
        TransferStore, TreeFilter, TreeKey, TreeStore,
    },
};
