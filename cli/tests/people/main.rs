//! Commands for people: the real command against a real pair.

mod categories;
mod folders;
mod harness;
mod session;
mod trees;
