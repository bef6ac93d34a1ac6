//! The service over a real socket, with tokens signed by a test's key.

mod harness;

mod access;
mod access_table;

mod categories;
mod changes;
mod deletion;
mod folders;
mod lists;
mod restarts;
mod revisions;
mod search;
mod sizes;
mod transfer;
mod trees;
mod validation;
