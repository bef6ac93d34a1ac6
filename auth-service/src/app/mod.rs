//! The use cases: what each RPC means, without a word about transport.

mod accounts;
mod argon;
mod audit;
mod binding;
mod callers;
mod context;
mod error;
mod guessing;
mod hashers;
mod introspect;
mod key_care;
mod limits;
mod lists;
mod login;
mod master_keys;
mod meters;
mod passwords;
mod refresh;
mod register;
mod revocations;
mod services;
mod sessions;
mod signing_keys;
mod turns;
mod upkeep;
mod users;

pub(crate) use self::{
    accounts::CurrentUser,
    audit::{Administrator, AuditLog, Origin},
    callers::Authenticated,
    context::{App, Issued},
    error::AppError,
    introspect::{Active, TokenType},
    key_care::keep_keys,
    limits::Limits,
    lists::{EventRequest, Page, PageRequest},
    master_keys::{MasterKeys, read_ring},
    meters::Meters,
    passwords::{HashLimits, Passwords, Place},
    refresh::{IdempotencyKey, RefreshRequest},
    revocations::{Batch, Feed, Following, Told},
    services::{IssuedToService, NewSecret},
    signing_keys::{STALE_AFTER, SigningKeys, unseal},
    upkeep::keep_clean,
};
pub use self::{argon::HashParams, error::KeysError};
