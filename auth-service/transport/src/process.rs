//! What every program that serves does: log, stop when it is told to, and read its settings again.

use std::{
    io::{self, IsTerminal as _, stderr},
    sync::OnceLock,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing_subscriber::EnvFilter;

use crate::log_lines::LogLines;

/// Starts logging to standard error, for people on a terminal and in JSON elsewhere: what `filter`
/// lets pass, unless `RUST_LOG` says otherwise. Only the first call in a process counts.
pub fn start_log(filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| usual(filter));
    let json = !stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogLines { json })
        // A line that cannot be written, on a full disk say, would be complained about where it
        // could not be written; and that failure is a panic of whoever logged.
        .log_internal_errors(false);
    // An embedding program may have started its own log, which is then the one to use.
    if !json {
        let log = log.with_target(false).with_filter_reloading();
        let filter = log.reload_handle();
        if log.try_init().is_ok() {
            let _ = FILTER.set(Box::new(move |new| filter.reload(new).is_ok()));
        }
    } else {
        let log = log.json().flatten_event(true).with_ansi(false).with_filter_reloading();
        let filter = log.reload_handle();
        if log.try_init().is_ok() {
            let _ = FILTER.set(Box::new(move |new| filter.reload(new).is_ok()));
        }
    }
}

/// Lets another filter decide what is logged, from now on. Tells whether it does: it does not where
/// `RUST_LOG` decides, or another program's log is used.
pub fn change_log(filter: &str) -> bool {
    let decides = EnvFilter::try_from_default_env().is_err();
    decides && FILTER.get().is_some_and(|change| change(usual(filter)))
}

/// Lets this process have as many files open as it may: each connection is one. Most systems allow 1024
/// at first, for the sake of programs that use select(2), and more to those that ask.
///
/// That it may not is no reason not to start; the metric `process_max_fds` says what came of it.
pub fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// A filter of the log, as a setting: a level, or levels by module.
///
/// # Errors
///
/// What is wrong with it.
pub fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; write info, or info,sqlx=debug")),
    }
}

fn usual(filter: &str) -> EnvFilter {
    // PostgreSQL notes at each start that what is there already is there.
    EnvFilter::new(format!("sqlx::postgres::notice=warn,{filter}"))
}

/// Changes the filter of the log that this process has started.
static FILTER: OnceLock<Box<dyn Fn(EnvFilter) -> bool + Send + Sync>> = OnceLock::new();

/// SIGTERM and SIGINT: the first asks for an end, the second for one at once.
#[derive(Clone, Debug)]
pub struct StopSignals {
    first: watch::Receiver<bool>,
    second: watch::Receiver<bool>,
}

impl StopSignals {
    /// Listens. The handlers are in place when this returns: from then on neither signal kills the
    /// process, so ask before the start and none is lost.
    ///
    /// # Errors
    ///
    /// If the system refuses a handler.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (stop, first) = watch::channel(false);
        let (hurry, second) = watch::channel(false);
        tokio::spawn(async move {
            let mut one = async || {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            one().await;
            tracing::info!("stopping: the calls under way may end");
            stop.send_replace(true);
            one().await;
            tracing::warn!("told to stop once more: the calls under way are cut");
            hurry.send_replace(true);
        });
        Ok(Self { first, second })
    }

    /// Resolves at the first signal.
    pub fn first(&self) -> impl Future<Output = ()> + use<> {
        let mut first = self.first.clone();
        async move {
            if first.wait_for(|stop| *stop).await.is_err() {
                // Nobody listens any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Says true from the second signal on.
    #[must_use]
    pub fn second(&self) -> watch::Receiver<bool> {
        self.second.clone()
    }
}

/// SIGHUPs: each asks to read again what can be read again. The handler is in place when this returns,
/// and from then on none ends the process.
///
/// # Errors
///
/// If the system refuses a handler.
pub fn reload_signals() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
