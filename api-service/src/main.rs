//! The `api-service` program.

use std::{process::ExitCode, sync::Arc};

use api_service::{Config, Server};
use clap::{Args, Parser, Subcommand};
use token::{clock::SystemClock, entropy::SystemEntropy};
use transport::{
    observe::LogObserver,
    process::{start_log, stop_signal},
    serve::bind,
};

/// Evergreen's ApiService: trees, folders and categories
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or ctrl-c, then let the calls under way end
    Serve(Settings),
    /// Bring the database's schema up to date, and end
    Migrate(Settings),
    /// Check the settings without touching network or disk, and print them
    CheckConfig(Settings),
}

#[derive(Args, Debug)]
struct Settings {
    #[command(flatten)]
    config: Config,
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command;
    start_log("info");
    let done = match command {
        Command::Serve(settings) => serve(settings.config).await,
        Command::Migrate(settings) => migrate(settings.config).await,
        Command::CheckConfig(settings) => check_config(&settings.config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("api-service: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  caused by: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    config.validate()?;
    // Asked for first, so that a signal during the start is not lost.
    let stop = stop_signal()?;
    let listener = bind("--listen", config.listen, config.insecure).await?;
    let address = listener.local_addr()?;
    let server = open(config).await?;
    println!("ApiService is ready on {address}");
    Ok(server.run(listener, stop).await?)
}

async fn migrate(config: Config) -> Result<(), Failure> {
    let database = match &config.database_url {
        Some(_) => "at --database-url".to_owned(),
        None => format!("in {}", config.data_dir.display()),
    };
    open(config).await?;
    println!("The database {database} is up to date");
    Ok(())
}

fn check_config(config: &Config) -> Result<(), Failure> {
    config.validate()?;
    println!("{config:#?}");
    Ok(())
}

async fn open(config: Config) -> Result<Server, Failure> {
    let server = Server::open(
        config,
        Arc::new(SystemClock::new()),
        Arc::new(SystemEntropy),
        Arc::new(LogObserver),
    );
    Ok(server.await?)
}
