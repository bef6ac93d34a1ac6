//! Settings read again while the service runs.

use std::{convert::Infallible, env};

use clap::Parser;
use tokio::signal::unix::Signal;

use crate::{
    process::change_log,
    service_manager::ServiceManager,
    settings::{Effective, Program, read},
    tls::Renewed,
};

/// What a service runs with, and how it is read again.
#[derive(Debug)]
pub struct Reloading<'a> {
    /// The program and its settings.
    pub program: &'a Program,
    /// The settings that it was started with.
    pub started_with: &'a Effective,
    /// Who is told that it reads them again.
    pub manager: &'a ServiceManager,
}

impl Reloading<'_> {
    /// Reads the settings again at each of `signals`, for as long as it is polled: the file, and what
    /// else the command line of `P` says. What can change while it serves is changed; what cannot is
    /// named in the log. `also` reads again what else there is: files that settings name.
    pub async fn at_each<P: Parser>(
        &self,
        mut signals: Signal,
        mut also: impl AsyncFnMut(),
    ) -> Infallible {
        loop {
            if signals.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            self.manager.reloading();
            match read(self.program, P::command(), env::args_os()) {
                Ok(read) => {
                    for warning in read.warnings {
                        tracing::warn!("{warning}");
                    }
                    self.apply(&read.effective);
                }
                Err(error) => tracing::error!(
                    %error,
                    "the settings cannot be read again; those that are in force stay"
                ),
            }
            also().await;
            self.manager.ready();
        }
    }

    fn apply(&self, now: &Effective) {
        let changes = self.started_with.changes(now);
        let (live, fixed): (Vec<_>, Vec<_>) = changes.into_iter().partition(|key| *key == LOG);
        // Set even if it is as at the start: it may have been another one in between.
        let log = now.text(LOG);
        let is_changed = log.is_some_and(change_log);
        if !live.is_empty() && !is_changed {
            tracing::warn!("log: RUST_LOG decides what is logged");
        }
        tracing::info!(log, "the settings were read again");
        if !fixed.is_empty() {
            tracing::warn!(
                settings = fixed.join(", "),
                "these settings differ from those in force; restart the service to change them"
            );
        }
    }
}

/// Looks at a certificate's files at once. What is wrong with them is in the log.
pub async fn certificate(tls: Option<&impl Renewed>) {
    let Some(tls) = tls.cloned() else { return };
    // A disk that hangs must not keep others from running.
    let _ = tokio::task::spawn_blocking(move || tls.read_again(true)).await;
}

/// What is logged unless settings say otherwise.
pub const USUAL_LOG: &str = "info";
/// The filter of the log is the one setting that changes while a service runs.
pub const LOG: &str = "log";
