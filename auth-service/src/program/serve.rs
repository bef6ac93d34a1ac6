//! Serving, and what comes before it.

use std::sync::Arc;

use auth_service::Config;
use token::clock::SystemClock;
use transport::{
    commands::{Failure, Shown, print_config, say},
    process::stop_signal,
    serve::bind,
    settings::Effective,
    tls::Tls,
};

use super::{Settings, open};

pub(super) async fn serve(shown: Shown<Settings>, effective: &Effective) -> Result<(), Failure> {
    let config = shown.settings.config;
    if shown.print_config {
        return print_config(effective, config.validate());
    }
    // Asked for first, so that a signal during the start is not lost.
    let stop = stop_signal()?;
    let tls = Tls::given(config.tls()?, Arc::new(SystemClock::new()))?;
    let listener = bind("--listen", config.listen, config.insecure || tls.is_some()).await?;
    let address = listener.local_addr()?;
    let operations = match config.ops_listen {
        Some(address) => Some(bind("--ops-listen", address, config.insecure).await?),
        None => None,
    };
    let mut server = open(config).await?;
    say(&format!("AuthService is ready on {address}"));
    if let Some(operations) = operations {
        say(&format!("Operations are served on {}", operations.local_addr()?));
        server = server.with_operations(operations);
    }
    if let Some(tls) = tls {
        server = server.with_tls(tls);
    }
    Ok(server.run(listener, stop).await?)
}

pub(super) async fn migrate(config: Config) -> Result<(), Failure> {
    open(config).await?.close().await;
    say("the database is up to date");
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
