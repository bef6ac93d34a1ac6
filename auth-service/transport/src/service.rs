//! A service, and its program from the start to the end.

use std::sync::Arc;

use clap::Parser;
use token::clock::SystemClock;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    commands::{Failure, say},
    ports::Addresses,
    process::{StopSignals, raise_open_files, reload_signals},
    reload::{Reloading, certificate},
    serve::ServeError,
    service_manager::ServiceManager,
    settings::{Effective, Program},
    tls::Tls,
};

/// A service that has opened what it needs, and serves nobody yet.
pub trait Service: Sized + Send {
    /// What it is called.
    const NAME: &'static str;

    /// The files of it that can be read again while it serves.
    type Files: Files;

    /// Speaks nothing but TLS on the listener that [`Self::run`] is given, by a certificate that is
    /// looked at every few seconds. Keep a clone of it, to have it looked at sooner.
    #[must_use]
    fn with_tls(self, tls: Tls) -> Self;

    /// Serves operations over HTTP on `listener`, for as long as it runs: what [`ops`](crate::ops)
    /// says.
    ///
    /// The other port never waits for this one; the end of both does, for some seconds at the most.
    #[must_use]
    fn with_operations(self, listener: TcpListener) -> Self;

    /// Cuts the calls under way once `hurry` says true, instead of waiting for them, if it has been
    /// told to stop.
    #[must_use]
    fn hurried_by(self, hurry: watch::Receiver<bool>) -> Self;

    /// What can be read again while it serves.
    #[must_use]
    fn files(&self) -> Self::Files;

    /// Serves on `listener` until `shutdown` resolves and the calls under way have ended, or their
    /// time to end is over; then closes what it had opened.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> impl Future<Output = Result<(), ServeError>> + Send;
}

/// Files that settings name.
pub trait Files: Send {
    /// Reads them again. If that cannot be, what is in force stays, and the log says why.
    fn read_again(&self) -> impl Future<Output = ()> + Send;
}

/// Opens a service by `open`, once its ports are taken, and serves until a signal ends it. It says on
/// standard output where. At SIGHUP it reads again its settings, as the command line of `P` has them, and
/// its files.
///
/// # Errors
///
/// Why it cannot start, or what it failed of.
pub async fn serve<P: Parser, S: Service>(
    program: &Program,
    started_with: &Effective,
    addresses: Addresses,
    open: impl Future<Output = Result<S, Failure>>,
) -> Result<(), Failure> {
    raise_open_files();
    // Asked for first, so that a signal during the start is not lost.
    let (signals, hangups) = (StopSignals::listen()?, reload_signals()?);
    let manager = ServiceManager::of_environment();
    let ports = addresses.bind(Arc::new(SystemClock::new())).await?;
    let (address, operations) = (ports.address()?, ports.operations()?);
    let server = open.await?.hurried_by(signals.second());
    say(&format!("{} is ready on {address}", S::NAME));
    if let Some(operations) = operations {
        say(&format!("Operations are served on {operations}"));
    }
    let (tls, files) = (ports.tls().cloned(), server.files());
    manager.ready();
    let stop = async {
        signals.first().await;
        manager.stopping();
    };
    let reloading = Reloading { program, started_with, manager: &manager };
    let again = async || {
        certificate(tls.as_ref()).await;
        files.read_again().await;
    };
    tokio::select! {
        biased;
        served = ports.run(server, stop) => Ok(served?),
        never = manager.keep_alive() => match never {},
        never = reloading.at_each::<P>(hangups, again) => match never {},
    }
}
