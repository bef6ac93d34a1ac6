//! `evergreen stress`: what the two programs take, and what they do when there is too much to do.

mod churn;
mod idle;
mod load;
mod logins;
mod overload;
mod programs;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::{churn::Churn, idle::Idle, logins::Logins, overload::Overload, programs::Programs};
use crate::lab::Failure;

/// Measure the programs `auth-service` and `api-service` as processes of their own: what they take
/// when idle, and what they do under more than they can do.
///
/// They are those that lie beside `evergreen`: `cargo build --release` makes all three.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen stress idle                     memory and start, without and with 10,000 connections
  evergreen stress overload                 ten times as many calls as can be answered
  evergreen stress logins                   refreshes while everybody logs in
  evergreen stress churn --duration 10m     clients that come and go, and what they leave behind")]
pub(crate) struct Stress {
    #[command(subcommand)]
    command: Command,

    /// Where the two programs are [default: where this one is]
    #[arg(long, global = true, value_name = "DIR")]
    programs: Option<PathBuf>,

    /// Print the figures as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Idle(Idle),
    Overload(Overload),
    Logins(Logins),
    Churn(Churn),
}

impl Stress {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let programs = Programs::find(self.programs)?;
        match self.command {
            Command::Idle(idle) => idle.run(programs, self.json).await,
            Command::Overload(overload) => overload.run(programs, self.json).await,
            Command::Logins(logins) => logins.run(programs, self.json).await,
            Command::Churn(churn) => churn.run(programs, self.json).await,
        }
    }
}
