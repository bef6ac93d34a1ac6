//! The harness of the end-to-end tests: both services on real sockets and real files, on a clock
//! that moves when it is told to. For what only a process can suffer there is [`process`], with
//! [`clients`] that keep it busy, or a [`fleet`] of them behind a [`balancer`], and a [`ledger`] of
//! what they were told; and [`application`] for those that share a store.

pub mod application;
pub mod balancer;
pub mod chance;
pub mod clients;
pub mod database;
pub mod encrypted;
pub mod fleet;
pub mod ledger;
pub mod process;
pub mod service;
pub mod vanishing;

mod admin;
mod restorable;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use auth_service::{AuditRecord, Server};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use cli::lab::{Accounts, Running, start_api, start_auth};
use evergreen_proto::{
    api::v1::api_service_client::ApiServiceClient,
    auth::v1::{
        LoginRequest, RegisterRequest, TokenPair, admin_service_client::AdminServiceClient,
        auth_service_client::AuthServiceClient,
    },
};
use tempfile::TempDir;
use token::{
    clock::{Clock, ManualClock, SystemClock},
    entropy::SystemEntropy,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{
    Request, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::{Channel, Endpoint},
};
use transport::{recorder::Recorder, status::reason_of};

pub use self::restorable::Restorable;

/// Both services, what they saw, and the clock that they read.
#[derive(Debug)]
pub struct World {
    /// Moves when it is told to.
    pub clock: Arc<ManualClock>,
    /// AuthService.
    pub auth: Running,
    /// ApiService.
    pub api: Running,
    /// Whom AuthService knew when it started first.
    pub accounts: Accounts,
    /// Every RPC that AuthService answered.
    pub auth_seen: Arc<Recorder>,
    /// Every RPC that ApiService answered.
    pub api_seen: Arc<Recorder>,
    auth_config: auth_service::Config,
    api_config: api_service::Config,
    database: Restorable,
    dir: TempDir,
}

/// A world without AuthService.
#[derive(Debug)]
pub struct Stopped {
    /// Moves when it is told to.
    pub clock: Arc<ManualClock>,
    _api: Running,
    _dir: TempDir,
}

/// A bare client of an AuthService.
#[must_use]
pub fn auth_client_of(auth: &Running) -> AuthServiceClient<Channel> {
    AuthServiceClient::new(channel(auth.address))
}

/// A bare client of an ApiService.
#[must_use]
pub fn api_client_of(api: &Running) -> ApiServiceClient<Channel> {
    ApiServiceClient::new(channel(api.address))
}

/// A password that is good enough.
pub const PASSWORD: &str = "correct horse battery staple";

impl World {
    /// Both services with their defaults, but for passwords, which are cheap to hash here.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same on a PostgreSQL database; `None` where PostgreSQL is not installed.
    pub async fn on_postgres() -> Option<Self> {
        let database = Restorable::postgres()?;
        let world = Self::start_with(|config| database.configure(config)).await;
        Some(Self { database, ..world })
    }

    /// The same with other settings of AuthService.
    pub async fn start_with(change: impl FnOnce(&mut auth_service::Config)) -> Self {
        Self::start_all(change, |_, _| {}).await
    }

    /// The same, and ApiService follows revocations.
    pub async fn following(change: impl FnOnce(&mut auth_service::Config)) -> Self {
        Self::start_all(change, Accounts::configure).await
    }

    /// The same on a PostgreSQL database; `None` where PostgreSQL is not installed.
    pub async fn following_on_postgres() -> Option<Self> {
        let database = Restorable::postgres()?;
        let world = Self::following(|config| database.configure(config)).await;
        Some(Self { database, ..world })
    }

    /// The same, and both serve operations.
    pub async fn watched() -> Self {
        let free = Some(free_port());
        Self::start_all(
            |auth| {
                auth.ops_listen = free;
                // Nobody listens there.
                auth.otlp_endpoint = Some("http://127.0.0.1:1".into());
            },
            |accounts, api| {
                accounts.configure(api);
                api.ops_listen = free;
            },
        )
        .await
    }

    async fn start_all(
        change: impl FnOnce(&mut auth_service::Config),
        change_api: impl FnOnce(&Accounts, &mut api_service::Config),
    ) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock::new().now()));
        let dir = TempDir::new().expect("a temporary directory can be made");
        let mut auth_config = auth_service::Config {
            listen: free_port(),
            data_dir: dir.path().to_owned(),
            open_registration: true,
            hash_memory_kib: 64,
            hash_iterations: 1,
            ..auth_service::Config::default()
        };
        change(&mut auth_config);
        let auth_seen = Arc::new(Recorder::new());
        let (auth, accounts) =
            start_auth(auth_config.clone(), clock.clone(), auth_seen.clone(), false)
                .await
                .expect("AuthService starts");
        auth_config.listen = auth.address;

        let mut api_config = api_service::Config {
            listen: free_port(),
            data_dir: dir.path().to_owned(),
            auth_url: auth.url(),
            ..api_service::Config::default()
        };
        change_api(&accounts, &mut api_config);
        let api_seen = Arc::new(Recorder::new());
        let api = start_api(api_config.clone(), clock.clone(), api_seen.clone(), None)
            .await
            .expect("ApiService starts");
        api_config.listen = api.address;
        let database = Restorable::sqlite(dir.path());
        Self {
            clock,
            auth,
            api,
            accounts,
            auth_seen,
            api_seen,
            auth_config,
            api_config,
            database,
            dir,
        }
    }

    /// Where the services keep their files.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Stops AuthService and starts it again on the same files and port.
    pub async fn restart_auth(self) -> Self {
        self.restart_auth_after(|_, _| {}).await
    }

    /// The same, with something done while it is stopped, to its database or its settings.
    pub async fn restart_auth_after(
        mut self,
        change: impl FnOnce(&Restorable, &mut auth_service::Config),
    ) -> Self {
        self.auth.stop().await.expect("AuthService stops");
        change(&self.database, &mut self.auth_config);
        let config = self.auth_config.clone();
        let (auth, _) = start_auth(config, self.clock.clone(), self.auth_seen.clone(), false)
            .await
            .expect("AuthService starts again");
        Self { auth, ..self }
    }

    /// Stops AuthService, lets an operator work on it, and starts it again. Gives back what came of
    /// the work.
    pub async fn operate<T>(self, work: impl AsyncFnOnce(&Server) -> T) -> (Self, T) {
        self.auth.stop().await.expect("AuthService stops");
        let config = self.auth_config.clone();
        let (entropy, seen) = (Arc::new(SystemEntropy), self.auth_seen.clone());
        let server = Server::open(config, self.clock.clone(), entropy, seen.clone()).await;
        let server = server.expect("AuthService opens its database");
        let done = work(&server).await;
        server.close().await;
        let config = self.auth_config.clone();
        let (auth, _) = start_auth(config, self.clock.clone(), seen, false)
            .await
            .expect("AuthService starts again");
        (Self { auth, ..self }, done)
    }

    /// The newest security events of its AuthService, newest first, which is stopped to ask.
    pub async fn audit_events(self) -> Vec<AuditRecord> {
        let (stopped, config) = self.stop_auth().await;
        let entropy = Arc::new(SystemEntropy);
        let server =
            Server::open(config, stopped.clock.clone(), entropy, Arc::new(Recorder::new()));
        let server = server.await.expect("AuthService starts again");
        let events = server.newest_audit_events(1000).await.expect("the database answers");
        server.close().await;
        events
    }

    /// The settings of another instance of AuthService, on a free port.
    #[must_use]
    pub fn auth_settings(&self) -> auth_service::Config {
        auth_service::Config { listen: free_port(), ..self.auth_config.clone() }
    }

    /// Another instance of AuthService with these settings changed, on a free port.
    pub async fn another_auth(&self, change: impl FnOnce(&mut auth_service::Config)) -> Running {
        let mut config = self.auth_settings();
        change(&mut config);
        let (auth, _) = start_auth(config, self.clock.clone(), self.auth_seen.clone(), false)
            .await
            .expect("another AuthService starts");
        auth
    }

    /// An ApiService of its own on a free port, with these settings changed: it may keep nothing where
    /// another one does, unless that is a PostgreSQL database.
    pub async fn another_api(&self, change: impl FnOnce(&mut api_service::Config)) -> Running {
        let mut config = api_service::Config { listen: free_port(), ..self.api_config.clone() };
        change(&mut config);
        start_api(config, self.clock.clone(), self.api_seen.clone(), None)
            .await
            .expect("another ApiService starts")
    }

    /// Stops AuthService, and gives back what is left and the settings to start it with again.
    pub async fn stop_auth(self) -> (Stopped, auth_service::Config) {
        self.auth.stop().await.expect("AuthService stops");
        (Stopped { clock: self.clock, _api: self.api, _dir: self.dir }, self.auth_config)
    }

    /// Stops ApiService and starts it again on the same files and port.
    pub async fn restart_api(self) -> Self {
        self.api.stop().await.expect("ApiService stops");
        let config = self.api_config.clone();
        let api = start_api(config, self.clock.clone(), self.api_seen.clone(), None)
            .await
            .expect("ApiService starts again");
        Self { api, ..self }
    }

    /// The database that its AuthService keeps its sessions in.
    #[must_use]
    pub fn database(&self) -> &Restorable {
        &self.database
    }

    /// Moves the clock past the end of every access token minted so far.
    pub fn access_tokens_run_out(&self) {
        self.clock.advance(self.auth_config.access_token_ttl + Duration::from_secs(3));
    }

    /// A bare client of AuthService.
    #[must_use]
    pub fn auth_client(&self) -> AuthServiceClient<Channel> {
        auth_client_of(&self.auth)
    }

    /// A bare client of AuthService's other half, for administrators.
    #[must_use]
    pub fn admin_client(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(channel(self.auth.address))
    }

    /// A bare client of ApiService.
    #[must_use]
    pub fn api_client(&self) -> ApiServiceClient<Channel> {
        api_client_of(&self.api)
    }

    /// Registers a user.
    pub async fn register(&self, username: &str) -> TokenPair {
        let request = RegisterRequest { username: username.into(), password: PASSWORD.into() };
        let answer = self.auth_client().register(request).await.expect("the user is new");
        answer.into_inner().tokens.expect("Register answers with tokens")
    }
}

/// Logs in a user of [`World::register`].
pub async fn login(world: &World, username: &str) -> TokenPair {
    let request = LoginRequest {
        username: username.into(),
        password: PASSWORD.into(),
        ..LoginRequest::default()
    };
    let answer = world.auth_client().login(request).await.expect("the password is right");
    answer.into_inner().tokens.expect("Login answers with tokens")
}

/// A channel to a server, which connects when it is first used.
///
/// # Panics
///
/// Never: every socket address makes a URL.
#[must_use]
pub fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address makes a URL")
        .connect_lazy()
}

/// What an operations port answers to a GET: status line and headers, and the body.
///
/// # Panics
///
/// If it does not answer.
pub async fn ask(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("the port is served");
    let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it is answered with text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.to_owned(), body.to_owned())
}

/// A request that carries `token`.
pub fn bearing<T>(token: &str, message: T) -> Request<T> {
    with_metadata(Request::new(message), "authorization", &format!("Bearer {token}"))
}

/// The request with one more metadata entry.
///
/// # Panics
///
/// If name or value cannot stand in metadata.
pub fn with_metadata<T>(mut request: Request<T>, name: &str, value: &str) -> Request<T> {
    let name: AsciiMetadataKey = name.parse().expect("a metadata name");
    let value: AsciiMetadataValue = value.parse().expect("a metadata value");
    request.metadata_mut().append(name, value);
    request
}

/// What a token says, unverified.
///
/// # Panics
///
/// If it is no JWT.
#[must_use]
pub fn claims(token: &str) -> serde_json::Value {
    let payload = token.split('.').nth(1).expect("a JWT has three parts");
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("the parts of a JWT are base64url");
    serde_json::from_slice(&payload).expect("the claims of a JWT are JSON")
}

/// The evergreen reason of an error, or the error itself where it has none.
///
/// # Panics
///
/// If there is no error, or it has no reason.
pub fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    let status = result.expect_err("an error was expected");
    reason_of(&status).unwrap_or_else(|| panic!("an error without a reason: {status:?}"))
}

fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
