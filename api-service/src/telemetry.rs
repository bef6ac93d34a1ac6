//! The log: for people on a terminal, JSON everywhere else.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::{EnvFilter, filter::ParseError};

/// Starts logging to stderr what `filter` lets through, as `info` or `api_service=debug,info`. Only
/// the first call in a process counts.
///
/// # Errors
///
/// If the filter cannot be read.
pub fn init(filter: &str) -> Result<(), ParseError> {
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(filter)?).with_writer(stderr);
    // An embedding program may have started its own log, which is then the one to use.
    let _already = if stderr().is_terminal() {
        subscriber.try_init()
    } else {
        subscriber.json().flatten_event(true).try_init()
    };
    Ok(())
}
