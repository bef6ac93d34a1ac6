//! Looking after the service's files.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use token::clock::{Clock as _, SystemClock};
use transport::commands::{Doctor, Failure, say};

use super::Settings;

/// Copy the embedded database, while the service runs or not
///
/// The copy is as of one moment, and appears whole or not at all; nothing is written over. The master
/// keys are not in it: keep a copy of them too, and keep it apart.
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
/// The backup is checked first. The former database is kept beside it.
///
/// Sessions that are newer than the backup go on, so that nobody whom it knows is logged out: their
/// tokens are adopted. But whatever was revoked or disabled since the backup is so no longer: revoke
/// it again. `--adopt false` at the next `serve` ends sessions that are newer instead.
#[derive(Args)]
pub(super) struct Restore {
    /// What `backup` has written
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

pub(super) async fn doctor(doctor: Doctor<Settings>) -> ExitCode {
    let report = auth_service::doctor(&doctor.settings.config, &SystemClock::new()).await;
    doctor.show(&report)
}

impl Backup {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let bytes = auth_service::backup(&self.settings.config, &self.target).await?;
        say(&format!("{} holds the database ({bytes} bytes)", self.target.display()));
        say("the master keys are not in it: keep a copy of them too, and keep it apart");
        Ok(())
    }
}

impl Restore {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = &self.settings.config;
        let now = SystemClock::new().now();
        let former = auth_service::restore(config, &self.backup, now).await?;
        say(&format!("the database is that of {}", self.backup.display()));
        if let Some(former) = former {
            say(&format!("the former one is kept as {}", former.display()));
        }
        say(if config.adopt {
            "sessions that are newer than the backup go on when they are used next, if it knows their \
             users"
        } else {
            "sessions that are newer than the backup end when they are used next (--adopt false)"
        });
        say(
            "what was revoked, disabled, changed or created since the backup is so no longer: look \
             through it, and revoke and disable again what must stay so; a signing key that was \
             withdrawn as compromised since then must be withdrawn again",
        );
        Ok(())
    }
}
