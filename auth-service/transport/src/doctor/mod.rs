//! What an operator asks first: is everything here as it should be, and if not, what mends it?
//!
//! Nothing that is looked at is changed.

mod certificate;
mod clock;
mod database;
mod files;
mod network;
mod report;

pub use self::{
    certificate::{certificate, client_certificate},
    clock::{against_files, against_postgres},
    database::{postgres, sqlite},
    files::{directory, given_secret, secret_file},
    network::{Listening, listening},
    report::{Check, Report, Verdict},
};
