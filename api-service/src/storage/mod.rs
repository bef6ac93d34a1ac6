//! What is kept, behind one trait.

mod error;
pub(crate) mod sqlite;
mod store;

#[cfg(test)]
mod contract;

pub(crate) use self::{
    error::StoreError,
    store::{CategoryKey, FolderKey, Store, TreeFilter, TreeKey},
};
