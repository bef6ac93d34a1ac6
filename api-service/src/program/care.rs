//! Looking after the service's files.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use token::clock::{Clock as _, SystemClock};
use transport::commands::{Doctor, Failure, say};

use super::Settings;

/// Copy the embedded database, while the service runs or not
///
/// The copy is as of one moment, and appears whole or not at all; nothing is written over.
#[derive(Args)]
pub(super) struct Backup {
    /// The copy to write
    #[arg(value_name = "FILE")]
    target: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

/// Put a backup in the place of the embedded database, while the service is stopped
///
/// The backup is checked first. The former database is kept beside it. Whoever follows changes is
/// told to list anew, if what they know is newer than the backup.
#[derive(Args)]
pub(super) struct Restore {
    /// What `backup` has written
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

pub(super) async fn doctor(doctor: Doctor<Settings>) -> ExitCode {
    let report = api_service::doctor(&doctor.settings.config, &SystemClock::new()).await;
    doctor.show(&report)
}

impl Backup {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let bytes = api_service::backup(&self.settings.config, &self.target).await?;
        say(&format!("{} holds the database ({bytes} bytes)", self.target.display()));
        Ok(())
    }
}

impl Restore {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = &self.settings.config;
        let now = SystemClock::new().now();
        let former = api_service::restore(config, &self.backup, now).await?;
        say(&format!("the database is that of {}", self.backup.display()));
        if let Some(former) = former {
            say(&format!("the former one is kept as {}", former.display()));
        }
        say(
            "what was written since the backup is not there any more; deleted trees and folders may \
             be there again",
        );
        Ok(())
    }
}
