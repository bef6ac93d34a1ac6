//! The `api-service` program.

use std::{process::ExitCode, sync::Arc};

use api_service::{Config, Server, telemetry};
use clap::{Args, Parser, Subcommand};
use token::{clock::SystemClock, entropy::SystemEntropy};
use transport::{observe::LogObserver, serve::bind};

/// Evergreen's ApiService: trees, folders and categories
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// What to log, as `info` or `api_service=debug,info`
    #[arg(long, env = "EVERGREEN_API_LOG", default_value = "info", global = true)]
    log: String,

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
    let cli = Cli::parse();
    if let Err(error) = telemetry::init(&cli.log) {
        eprintln!("error: log: {error}");
        return ExitCode::from(64);
    }
    let done = match cli.command {
        Command::Serve(settings) => serve(settings.config).await,
        Command::Migrate(settings) => migrate(settings.config).await,
        Command::CheckConfig(settings) => check_config(&settings.config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
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
    config.check()?;
    let listener = bind("listen", config.listen, config.insecure).await?;
    let address = listener.local_addr()?;
    let server = open(config).await?;
    let shutdown = shutdown()?;
    println!("ApiService is ready on {address}");
    Ok(server.run(listener, shutdown).await?)
}

async fn migrate(config: Config) -> Result<(), Failure> {
    let dir = config.data_dir.clone();
    open(config).await?;
    println!("The database in {} is up to date", dir.display());
    Ok(())
}

fn check_config(config: &Config) -> Result<(), Failure> {
    config.check()?;
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

/// Resolves at SIGTERM or ctrl-c. The handlers are in place when this returns: from then on neither
/// kills the process.
fn shutdown() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining");
    })
}
