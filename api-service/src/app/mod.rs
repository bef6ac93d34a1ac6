//! Use cases: who may, what is read, what is written.

mod categories;
mod changes;
mod context;
mod deletion;
mod demo;
mod error;
mod export;
mod folders;
mod import;
mod merges;
mod revisions;
mod search;
mod subtrees;
mod trees;

pub(crate) use self::{
    changes::{Following, Told},
    context::App,
    error::AppError,
    export::Exporting,
    import::Importing,
    search::Hit,
    trees::TreeQuery,
};
