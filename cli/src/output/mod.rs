//! What commands for people print: tables, drawn trees, JSON.

pub(crate) mod clean;
pub(crate) mod drawn;
pub(crate) mod json;
mod printer;
pub(crate) mod table;
mod unread;

/// `1 tree`, `2 trees`.
pub(crate) fn counted(count: impl Into<i64>, word: &str) -> String {
    match count.into() {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}

pub(crate) use self::{printer::Printer, table::Table, unread::unread};
