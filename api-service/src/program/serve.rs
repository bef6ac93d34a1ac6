//! Serving, and what comes before it.

use api_service::Config;
use clap::Args;
use transport::{process::stop_signal, serve::bind, settings::Effective};

use super::{Failure, Settings, open, say};

#[derive(Args)]
pub(super) struct Shown {
    /// Print the settings as they come out, as a TOML file that says where each comes from, and end.
    /// Secrets are not in it
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(super) async fn serve(shown: Shown, effective: &Effective) -> Result<(), Failure> {
    let config = shown.settings.config;
    if shown.print_config {
        return print(&config, effective);
    }
    config.validate()?;
    // Asked for first, so that a signal during the start is not lost.
    let stop = stop_signal()?;
    let listener = bind("--listen", config.listen, config.insecure).await?;
    let address = listener.local_addr()?;
    let server = open(config).await?;
    say(&format!("ApiService is ready on {address}"));
    Ok(server.run(listener, stop).await?)
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

pub(super) fn check_config(shown: &Shown, effective: &Effective) -> Result<(), Failure> {
    let config = &shown.settings.config;
    if shown.print_config {
        return print(config, effective);
    }
    config.validate()?;
    say("the settings are sound");
    Ok(())
}

/// Printed even if they cannot be: that is when they are looked at.
fn print(config: &Config, effective: &Effective) -> Result<(), Failure> {
    say(effective.to_string().trim_end());
    Ok(config.validate()?)
}
