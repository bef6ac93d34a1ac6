//! Serving, and what comes before it.

use auth_service::{Config, Server};
use transport::{
    commands::{Failure, Shown, print_config, say},
    service,
    settings::{Effective, Program},
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
    let addresses = config.addresses()?;
    service::serve::<Cli, Server>(program, effective, addresses, open(config)).await
}

pub(super) async fn migrate(config: Config) -> Result<(), Failure> {
    open(config).await?.close().await;
    say("the database is up to date");
    Ok(())
}
