//! Serving, and what comes before it.

use api_service::{Config, Server};
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
    let database = match config.database()? {
        Some(_) => "at --database-url".to_owned(),
        None => format!("in {}", config.data_dir.display()),
    };
    open(config).await?.close().await;
    say(&format!("The database {database} is up to date"));
    Ok(())
}
