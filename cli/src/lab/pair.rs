//! Starting and stopping the services.

use std::{error::Error, net::SocketAddr, sync::Arc};

use auth_service::{ServiceCredentials, UserKind};
use token::{clock::Clock, entropy::SystemEntropy};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use transport::{observe::Observer, serve::bind, tls::Tls};

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
    let tls = Tls::given(config.tls()?, Arc::clone(&clock))?;
    let may_be_reached = config.insecure || tls.is_some();
    let listener = bind("--auth-listen", config.listen, may_be_reached).await?;
    let address = listener.local_addr()?;
    let data_dir = config.data_dir.clone();
    let operations = match config.ops_listen {
        Some(address) => Some(bind("--ops-listen", address, config.insecure).await?),
        None => None,
    };
    let mut server =
        auth_service::Server::open(config, clock, Arc::new(SystemEntropy), observer).await?;
    let demo_user = match demo_user {
        true => Some(server.ensure_user(DEMO_USER, DEMO_PASSWORD, UserKind::Editor).await?),
        false => None,
    };
    let api = api_account(&server, &data_dir).await?;
    let served = operations.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(operations) = operations {
        server = server.with_operations(operations);
    }
    if let Some(tls) = &tls {
        server = server.with_tls(tls.clone());
    }
    let (stop, told) = stop();
    let task = tokio::spawn(async { Ok(server.run(listener, told).await?) });
    Ok((Running { address, operations: served, tls, stop, task }, Accounts { demo_user, api }))
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
    let tls = Tls::given(config.tls()?, Arc::clone(&clock))?;
    let may_be_reached = config.insecure || tls.is_some();
    let listener = bind("--api-listen", config.listen, may_be_reached).await?;
    let address = listener.local_addr()?;
    let operations = match config.ops_listen {
        Some(address) => Some(bind("--ops-listen", address, config.insecure).await?),
        None => None,
    };
    let mut server =
        api_service::Server::open(config, clock, Arc::new(SystemEntropy), observer).await?;
    if let Some(owner) = demo_owner {
        server.seed_demo(owner).await?;
    }
    if let Some(tls) = &tls {
        server = server.with_tls(tls.clone());
    }
    let served = operations.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(operations) = operations {
        server = server.with_operations(operations);
    }
    let (stop, told) = stop();
    let task = tokio::spawn(async { Ok(server.run(listener, told).await?) });
    Ok(Running { address, operations: served, tls, stop, task })
}

fn stop() -> (watch::Sender<bool>, impl Future<Output = ()>) {
    let (sender, mut receiver) = watch::channel(false);
    let told = async move {
        // A sender that is gone means the same as one that said so.
        let _ = receiver.wait_for(|stop| *stop).await;
    };
    (sender, told)
}

/// The user that `--demo` makes.
pub const DEMO_USER: &str = "demo";
/// Their password.
pub const DEMO_PASSWORD: &str = "evergreen-demo-1";
