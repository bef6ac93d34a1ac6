//! Where users, sessions and keys are kept: one trait, one folder per backend.

mod bell;
pub(crate) mod error;
pub(crate) mod group_commit;
pub(crate) mod limits;
pub(crate) mod lists;
#[cfg(any(test, feature = "simulation"))]
pub(crate) mod memory;
pub(crate) mod postgres;
pub(crate) mod revocations;
mod rows;
pub(crate) mod sealed_keys;
pub(crate) mod sqlite;
pub(crate) mod store;

#[cfg(test)]
mod contract;
