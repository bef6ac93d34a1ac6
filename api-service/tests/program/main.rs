//! The `api-service` program as an operator meets it: its settings and its commands, on real files.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

mod backup;
mod damage;
mod doctor;
mod harness;
mod life;
mod settings;
mod unit;
