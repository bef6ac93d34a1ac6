//! Full text: which words a tree holds, which ones a query asks for, and where they meet.
//!
//! Backends are given ready words and compare them byte by byte, so that all of them find the same.

mod document;
mod query;
mod snippet;
mod words;

pub(crate) use self::{
    document::{Document, VERSION},
    query::Query,
    snippet::{Snippet, snippet},
};
