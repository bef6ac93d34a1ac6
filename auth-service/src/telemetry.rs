//! Logs: for people on a terminal, for machines elsewhere.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error, at level INFO unless `RUST_LOG` says otherwise. Does nothing if
/// it has been started before.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second start, in a test say, finds the first one's subscriber in place.
    let _ = if io::stderr().is_terminal() {
        logs.with_target(false).try_init()
    } else {
        logs.json().with_ansi(false).try_init()
    };
}
