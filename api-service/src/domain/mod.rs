//! Pure types and rules: no clock, no storage, no transport.

pub(crate) mod caller;
pub(crate) mod category;
pub(crate) mod change;
pub(crate) mod etag;
pub(crate) mod folder;
pub(crate) mod id;
pub(crate) mod import;
pub(crate) mod node;
pub(crate) mod page;
pub(crate) mod policy;
pub(crate) mod revision;
pub(crate) mod search;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod violation;
