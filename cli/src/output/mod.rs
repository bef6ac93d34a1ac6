//! What commands for people print: tables, drawn trees, JSON.

pub(crate) mod clean;
pub(crate) mod drawn;
pub(crate) mod json;
mod printer;
pub(crate) mod table;
mod unread;

pub(crate) use self::{printer::Printer, table::Table, unread::unread};
