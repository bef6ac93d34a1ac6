//! Use cases: who may, what is read, what is written.

mod categories;
mod context;
mod demo;
mod error;
mod folders;
mod page_token;
mod trees;

pub(crate) use self::{context::App, error::AppError, trees::TreeQuery};
