//! Starting and stopping the services.

use std::{error::Error, io, net::SocketAddr, sync::Arc};

use auth_service::{ServiceCredentials, UserKind};
use token::{clock::Clock, entropy::SystemEntropy};
use tokio::{sync::watch, task::JoinHandle};
use transport::{
    observe::Observer,
    ports::{Addresses, Ports},
    service::Service,
    tls::Tls,
};

use super::account::api_account;

/// What a command fails with: its message says what to do next.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A service that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it serves operations, if it does.
    pub operations: Option<SocketAddr>,
    /// What it is encrypted by, if it is.
    pub tls: Option<Tls>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Failure>>,
}

impl Running {
    /// Lets `server` serve on its ports.
    fn of(server: impl Service + 'static, ports: Ports) -> io::Result<Self> {
        let (address, operations) = (ports.address()?, ports.operations()?);
        let tls = ports.tls().cloned();
        let (stop, mut told) = watch::channel(false);
        let told = async move {
            // A sender that is gone means the same as one that said so.
            let _ = told.wait_for(|stop| *stop).await;
        };
        let task = tokio::spawn(async { Ok(ports.run(server, told).await?) });
        Ok(Self { address, operations, tls, stop, task })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Resolves when it has stopped by itself, which it should not.
    pub async fn failed(&mut self) -> Failure {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => "a server stopped without being told to".into(),
            Err(error) => error.into(),
        }
    }

    /// Lets the calls under way end, and stops it.
    ///
    /// # Errors
    ///
    /// What it failed with, if it had.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        self.task.await?
    }
}

/// Starts AuthService; when this returns, it answers. With `demo_user` there is a user
/// [`DEMO_USER`]; ApiService has an account in any case.
///
/// # Errors
///
/// Why it cannot start: the message names the setting to mend.
pub async fn start_auth(
    config: auth_service::Config,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    demo_user: bool,
) -> Result<(Running, Accounts), Failure> {
    let addresses = Addresses { setting: "--auth-listen", ..config.addresses()? };
    let ports = addresses.bind(Arc::clone(&clock)).await?;
    let data_dir = config.data_dir.clone();
    let server =
        auth_service::Server::open(config, clock, Arc::new(SystemEntropy), observer).await?;
    let demo_user = match demo_user {
        true => Some(server.ensure_user(DEMO_USER, DEMO_PASSWORD, UserKind::Editor).await?),
        false => None,
    };
    let api = api_account(&server, &data_dir).await?;
    Ok((Running::of(server, ports)?, Accounts { demo_user, api }))
}

/// Who an AuthService knows when it starts.
#[derive(Debug)]
pub struct Accounts {
    /// The id of [`DEMO_USER`].
    pub demo_user: Option<String>,
    /// What ApiService logs in with.
    pub api: ServiceCredentials,
}

impl Accounts {
    /// Has an ApiService follow revocations.
    pub fn configure(&self, api: &mut api_service::Config) {
        api.client_id = Some(self.api.client_id.clone());
        api.client_secret = Some(self.api.client_secret.clone().into());
    }
}

/// Starts ApiService; when this returns, it answers. With `demo_owner` there are some categories,
/// and some folders and trees of that user.
///
/// # Errors
///
/// Why it cannot start: the message names the setting to mend.
pub async fn start_api(
    config: api_service::Config,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    demo_owner: Option<&str>,
) -> Result<Running, Failure> {
    let addresses = Addresses { setting: "--api-listen", ..config.addresses()? };
    let ports = addresses.bind(Arc::clone(&clock)).await?;
    let server =
        api_service::Server::open(config, clock, Arc::new(SystemEntropy), observer).await?;
    if let Some(owner) = demo_owner {
        server.seed_demo(owner).await?;
    }
    Ok(Running::of(server, ports)?)
}

/// The user that `--demo` makes.
pub const DEMO_USER: &str = "demo";
/// Their password.
pub const DEMO_PASSWORD: &str = "evergreen-demo-1";
