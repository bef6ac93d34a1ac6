//! The use cases: what each RPC means, without a word about transport.

mod accounts;
mod argon;
mod audit;
mod callers;
mod context;
mod error;
mod introspect;
mod keys;
mod login;
mod passwords;
mod refresh;
mod register;
mod services;
mod sessions;
mod upkeep;

pub(crate) use self::{
    accounts::{CurrentUser, StatusSet},
    audit::{AuditLog, Origin},
    callers::{Authenticated, Caller},
    context::{App, Issued},
    error::AppError,
    introspect::{Active, TokenType},
    keys::{Keys, MasterKeys},
    passwords::{HashLimits, Passwords, Place},
    refresh::{IdempotencyKey, RefreshRequest},
    services::{IssuedToService, ServiceCredentials},
    sessions::SessionPage,
    upkeep::keep_clean,
};
pub use self::{argon::HashParams, error::KeysError};
