//! The transport: gRPC in, use cases out.

mod admin;
mod auth;
mod convert;
mod metadata;
mod revocations;
mod status;

pub(crate) use self::{admin::AdminRpc, auth::AuthRpc, convert::jwks};
