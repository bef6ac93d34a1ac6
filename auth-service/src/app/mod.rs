//! The use cases: what each RPC means, without a word about transport.

mod accounts;
mod audit;
mod context;
mod error;
mod keys;
mod login;
mod passwords;
mod refresh;
mod register;
mod sessions;

pub(crate) use self::{
    accounts::CurrentUser,
    context::{App, Authenticated, Issued},
    error::AppError,
    keys::{Keys, MasterKeys},
    passwords::{HashLimits, Passwords},
    refresh::{IdempotencyKey, RefreshRequest},
    sessions::SessionPage,
};
pub use self::{error::KeysError, passwords::HashParams};
