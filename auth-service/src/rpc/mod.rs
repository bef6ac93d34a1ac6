//! The transport: gRPC in, use cases out.

mod auth;
mod convert;
mod metadata;
mod status;

pub(crate) use self::auth::AuthRpc;
