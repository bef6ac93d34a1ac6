//! What every program that serves does: log, and stop when it is told to.

use std::io::{self, IsTerminal as _, stderr};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error, for people on a terminal and in JSON elsewhere: at `level`
/// unless `RUST_LOG` says otherwise. Only the first call in a process counts.
pub fn start_log(level: &str) {
    // PostgreSQL notes at each start that what is there already is there.
    let usual = || EnvFilter::new(format!("{level},sqlx::postgres::notice=warn"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| usual());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        // A line that cannot be written, on a full disk say, would be complained about where it
        // could not be written; and that failure is a panic of whoever logged.
        .log_internal_errors(false);
    // An embedding program may have started its own log, which is then the one to use.
    let _ = if stderr().is_terminal() {
        log.with_target(false).try_init()
    } else {
        log.json().flatten_event(true).with_ansi(false).try_init()
    };
}

/// Resolves at SIGTERM or SIGINT. The handlers are in place when this returns: from then on neither
/// signal kills the process, so ask before the start and none is lost.
///
/// # Errors
///
/// If the system refuses a handler.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: the calls under way may end");
    })
}
