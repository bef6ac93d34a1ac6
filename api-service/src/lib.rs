//! Evergreen's ApiService: trees, folders and categories for whoever holds a valid access token.
//!
//! Inside, the arrows run one way: `rpc` (transport) to `app` (use cases) to `storage` (a trait,
//! then one folder per backend) to `domain` (pure types and rules). [`Server`] alone sees them all.

#![warn(missing_docs)]

mod app;
mod config;
mod domain;
mod error;
mod rpc;
mod server;
mod storage;

pub use transport::serve::ServeError;

#[cfg(any(test, feature = "simulation"))]
pub use self::storage::memory::MemoryDatabase;
pub use self::{
    config::{ClientSecret, Config},
    error::StartError,
    server::{CareError, Files, SeedError, Server, backup, doctor, restore},
};
