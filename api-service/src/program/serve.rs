//! Serving, and what comes before it.

use std::sync::Arc;

use api_service::Config;
use token::clock::SystemClock;
use transport::{
    commands::{Failure, Shown, print_config, say},
    process::{StopSignals, raise_open_files, reload_signals},
    reload::{Reloading, certificate},
    serve::bind,
    service_manager::ServiceManager,
    settings::{Effective, Program},
    tls::Tls,
};

use super::{Cli, Settings, open};

pub(super) async fn serve(
    shown: Shown<Settings>,
    program: &Program,
    effective: &Effective,
) -> Result<(), Failure> {
    let config = shown.settings.config;
    if shown.print_config {
        return print_config(effective, config.validate());
    }
    config.validate()?;
    raise_open_files();
    // Asked for first, so that a signal during the start is not lost.
    let (signals, hangups) = (StopSignals::listen()?, reload_signals()?);
    let manager = ServiceManager::of_environment();
    let tls = Tls::given(config.tls()?, Arc::new(SystemClock::new()))?;
    let listener = bind("--listen", config.listen, config.insecure || tls.is_some()).await?;
    let address = listener.local_addr()?;
    let operations = match config.ops_listen {
        Some(address) => Some(bind("--ops-listen", address, config.insecure).await?),
        None => None,
    };
    let mut server = open(config).await?.hurried_by(signals.second());
    say(&format!("ApiService is ready on {address}"));
    if let Some(tls) = &tls {
        server = server.with_tls(tls.clone());
    }
    if let Some(operations) = operations {
        say(&format!("Operations are served on {}", operations.local_addr()?));
        server = server.with_operations(operations);
    }
    let files = server.files();
    manager.ready();
    let stop = async {
        signals.first().await;
        manager.stopping();
    };
    let reloading = Reloading { program, started_with: effective, manager: &manager };
    let again = async || {
        certificate(tls.as_ref()).await;
        files.read_again().await;
    };
    tokio::select! {
        biased;
        served = server.run(listener, stop) => Ok(served?),
        never = manager.keep_alive() => match never {},
        never = reloading.at_each::<Cli>(hangups, again) => match never {},
    }
}

pub(super) async fn migrate(config: Config) -> Result<(), Failure> {
    let database = match config.database()? {
        Some(_) => "at --database-url".to_owned(),
        None => format!("in {}", config.data_dir.display()),
    };
    open(config).await?.close().await;
    say(&format!("The database {database} is up to date"));
    Ok(())
}

pub(super) fn check_config(shown: &Shown<Settings>, effective: &Effective) -> Result<(), Failure> {
    let config = &shown.settings.config;
    if shown.print_config {
        return print_config(effective, config.validate());
    }
    config.validate()?;
    say("the settings are sound");
    Ok(())
}
