//! Evergreen's AuthService: registers and logs in users and services, mints short-lived access
//! tokens and rotates refresh tokens so that nobody honest is ever logged out and every stolen token is caught.
//!
//! Arrows run one way: `rpc` (transport) → `app` (use cases) → `storage` → [`domain`] (pure types
//! and rules). [`Server`] alone sees everything.

#![warn(missing_docs)]

mod app;
mod config;
pub mod domain;
mod rpc;
mod server;
mod storage;

#[cfg(feature = "simulation")]
pub use self::storage::memory::{Committed, MemoryDatabase, Pace, Snapshot};
pub use self::{
    app::{HashParams, KeysError},
    config::Config,
    server::{
        AuditError, AuditRecord, CareError, CreateUserError, Files, Server, ServiceCredentials,
        ServiceError, SetUserError, SigningKeyError, SigningKeyRecord, StartError, UserKind,
        backup, doctor, restore,
    },
    storage::error::OpenError,
};
