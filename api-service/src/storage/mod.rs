//! What is kept, behind one trait, which is made of one for each kind of thing.

mod error;
#[cfg(any(test, feature = "simulation"))]
pub(crate) mod memory;
pub(crate) mod sqlite;
mod store;

#[cfg(test)]
mod contract;

pub(crate) use self::{
    error::StoreError,
    store::{
        CategoryKey, CategoryStore, FolderKey, FolderStore, Store, TreeFilter, TreeKey, TreeStore,
    },
};
