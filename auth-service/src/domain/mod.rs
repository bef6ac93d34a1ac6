//! Pure types and rules: no I/O, no clock, no randomness.

pub(crate) mod audit;
pub(crate) mod forgotten;
pub(crate) mod guessing;
pub(crate) mod id;
pub(crate) mod listing;
pub mod network;
pub(crate) mod pace;
pub(crate) mod policy;
pub(crate) mod revocation;
pub mod rotation;
pub(crate) mod secret;
pub(crate) mod service_account;
pub(crate) mod session;
pub(crate) mod signing_keys;
pub(crate) mod user;
