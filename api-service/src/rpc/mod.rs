//! The transport: requests to use cases, results to responses, errors to statuses.

mod categories;
mod changes;
mod convert;
mod deletion;
mod folders;
mod mask;
mod methods;
mod revisions;
mod search;
mod service;
mod status;
mod stream;
mod transfer;
mod trees;

#[cfg(test)]
mod tests;

pub(crate) use self::{methods::guard_policy, service::Rpc};
