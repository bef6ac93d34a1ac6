//! Commands for people: the real command against a real pair.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as the tests do")]

mod admin;
mod categories;
mod folders;
mod harness;
mod help;
mod outlines;
mod output;
mod revisions;
mod search;
mod session;
mod tls;
mod transfer;
mod trees;
mod watch;
