//! The composition root: from settings to a server that answers.

use std::{fmt, future::Future, io, net::IpAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use evergreen_proto::auth::v1::{
    admin_service_server::{AdminServiceServer, SERVICE_NAME as ADMIN_SERVICE},
    auth_service_server::{AuthServiceServer, SERVICE_NAME as AUTH_SERVICE},
};
use futures_util::future::OptionFuture;
use thiserror::Error;
use token::{
    Verifier,
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    time::timeout,
};
use tokio_stream::Stream;
use tonic::{service::Routes, transport::server::Connected};
use trace_context::TraceIds;
use transport::{
    config::ConfigError,
    data_dir::DataDir,
    drain::Drain,
    metrics::{Metrics, RpcMetrics},
    observe::Observer,
    ops::{self, Readiness, Unready},
    otlp::Exporter,
    overload::Connections,
    page_token::PageTokens,
    serve::{ServeError, Serving, connections},
    service::{self, Service},
    tls::{LOOK_AT_CERTIFICATE, Tls, keep_current},
};

use crate::{
    app::{
        Administrator, App, AppError, AuditLog, Feed, KeysError, Limits, MasterKeys, Meters,
        Passwords, Place, SigningKeys, keep_clean, keep_keys,
    },
    config::{Config, MAX_ACCESS_TOKEN_TTL},
    domain::user::Role,
    rpc::{AdminRpc, AuthRpc},
    storage::{
        error::OpenError,
        postgres::{DatabaseClock, PostgresStore},
        sqlite::SqliteStore,
        store::{Store, StoredKey},
    },
};

mod backup;
mod doctor;
mod jwks;
mod services;
mod users;

pub use self::{
    backup::{CareError, backup, restore},
    doctor::doctor,
    services::{ServiceCredentials, ServiceError},
    users::SetUserError,
};

/// AuthService with its database open and its keys unsealed, ready to serve.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    audit_retention: Duration,
    most_connections: NonZeroUsize,
    serving: Serving,
    operations: Option<TcpListener>,
    tls: Option<Tls>,
    metrics: Metrics,
    readiness: Readiness,
    exporter: Option<Exporter>,
}

/// Why AuthService cannot start. Every message names the setting to mend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The keys cannot be made ready.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// Why a user could not be created.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct CreateUserError(String);

impl Server {
    /// Opens the database, migrates it if it is older, and makes the keys ready.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing that was there is lost or changed by a failed start.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        config.validate()?;
        let store = open_store(&config, &clock).await?;
        Self::open_on(store, Place::Apart, config, clock, entropy, observer).await
    }

    /// [`Self::open`], on a store that is open.
    pub(crate) async fn open_on(
        store: Arc<dyn Store>,
        hashing: Place,
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        let (params, exporting) = (config.hash_params()?, config.exporting()?);
        // A database without signing keys is new: nothing depends on a ring yet.
        let keys = store.signing_keys().await;
        let is_new =
            keys.map_err(|error| KeysError::Storage { detail: error.to_string() })?.0.is_empty();
        let ring = config.master_keys_path();
        let master = MasterKeys::open(&ring, is_new, Arc::clone(&clock), &*entropy)?;
        let page_tokens = store.page_token_key(entropy.array()).await;
        let page_tokens =
            page_tokens.map_err(|error| KeysError::Storage { detail: error.to_string() })?;
        let (policy, max_age) = (config.signing_keys(), config.jwks_max_age);
        let keys = SigningKeys::open(&*store, &master, &*entropy, &*clock, policy, max_age).await?;
        let metrics = Metrics::new(METRICS_PREFIX, env!("CARGO_PKG_VERSION"), clock.now());
        let meters = Meters::new(&metrics);
        let trace_ids = Arc::new(TraceIds::new(entropy.array()));
        let app = App {
            audit: AuditLog::start(Arc::clone(&store), meters.lost_events()),
            store,
            master,
            keys,
            verifier: Verifier::new(&config.issuer, &config.audience),
            passwords: Passwords::new(params, config.hash_limits(), Arc::clone(&entropy))
                .at(hashing),
            page_tokens: PageTokens::new(&page_tokens),
            limits: Limits::new(
                config.limit_loopback,
                config.trusted_proxies.clone().unwrap_or_default(),
                config.hash_queue,
            ),
            revocations: Feed::new(MAX_ACCESS_TOKEN_TTL),
            meters,
            policy: config.policy(),
            issuer: config.issuer,
            audience: config.audience,
            clock: Arc::clone(&clock),
            entropy,
        };
        let app = Arc::new(app);
        app.measure(&metrics);
        let rpcs = RpcMetrics::new(&metrics, &SERVICES);
        let mut observer: Arc<dyn Observer> = Arc::new((rpcs, observer));
        let start =
            |exporting: &_| Exporter::start(exporting, &SERVICES, Arc::clone(&clock), &metrics);
        let exporter = exporting.as_ref().map(start);
        if let Some(exporter) = &exporter {
            observer = Arc::new((exporter.clone(), observer));
        }
        let request_life = config.request_timeout;
        let (most_requests, most_connections) = (config.max_requests, config.max_connections);
        let serving = Serving {
            clock,
            observer,
            trace_ids,
            request_life,
            uploads: &[],
            waiting: &HASHING,
            most_requests,
            drain: Drain::within(config.drain_grace),
        };
        Ok(Self {
            readiness: readiness(&app),
            app,
            audit_retention: config.audit_retention,
            most_connections,
            serving,
            operations: None,
            tls: None,
            metrics,
            exporter,
        })
    }

    /// A server on a database in memory, which outlives it. It hashes passwords where they are
    /// asked for, so that no thread runs beside the caller's.
    ///
    /// # Errors
    ///
    /// As [`Server::open`].
    #[cfg(feature = "simulation")]
    pub async fn open_in_memory(
        database: &crate::MemoryDatabase,
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        config.validate()?;
        let store = crate::storage::memory::MemoryStore::open(database, Arc::clone(&clock));
        Self::open_on(Arc::new(store), Place::Inline, config, clock, entropy, observer).await
    }

    /// [`Service::run`], on connections from anywhere, as they are.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub async fn run_on<C>(
        mut self,
        incoming: impl Stream<Item = io::Result<C>>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError>
    where
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        Tls::measure(self.tls.as_ref(), &self.metrics);
        let app = Arc::clone(&self.app);
        let told = Arc::clone(&self.app);
        // Goes when the other port has ended, however that ends, and this one follows: while calls
        // end, probes are told of it.
        let (stop, stopped) = watch::channel(());
        let operations = OptionFuture::from(self.operations.take().map(|listener| {
            let routes = ops::routes(self.readiness.clone(), self.metrics.clone());
            let routes = routes.merge(jwks::routes(Arc::clone(&self.app)));
            ops::serve(connections(listener), routes, stopped)
        }));
        let readiness = self.readiness.clone();
        self.readiness.serves();
        // Streams end with the server, which waits for the calls under way.
        let shutdown = async move {
            shutdown.await;
            readiness.drains();
            told.revocations.close();
        };
        let admin = AdminServiceServer::new(AdminRpc::new(Arc::clone(&app)));
        let auth = AuthServiceServer::new(AuthRpc::new(app, self.serving.request_life));
        let routes = Routes::new(auth.max_decoding_message_size(MAX_REQUEST_BYTES))
            .add_service(admin.max_decoding_message_size(MAX_REQUEST_BYTES));
        let serving = self.serving.clone().run(incoming, routes, &SERVICES, shutdown);
        let serving = async move {
            let served = serving.await;
            drop(stop);
            served
        };
        let both = async { tokio::join!(serving, operations).0 };
        let served = tokio::select! {
            biased;
            served = both => served,
            () = keep_clean(&*self.app.store, self.audit_retention) => Ok(()),
            () = keep_keys(&self.app) => Ok(()),
            () = keep_current(self.tls.as_ref(), LOOK_AT_CERTIFICATE) => Ok(()),
            () = self.app.revocations.keep_reading(&*self.app.store, &*self.app.entropy) => Ok(()),
        };
        // What is still to be stored is little, and a database that does not answer keeps nobody,
        // spans neither.
        let _ = tokio::join!(timeout(CLOSING, self.close_store()), self.flush_spans());
        served
    }

    /// Stores what is still to be stored, and closes the database.
    pub async fn close(self) {
        tokio::join!(self.close_store(), self.flush_spans());
    }

    async fn close_store(&self) {
        self.app.audit.flush().await;
        self.app.store.close().await;
    }

    async fn flush_spans(&self) {
        OptionFuture::from(self.exporter.as_ref().map(Exporter::flush)).await;
    }

    /// The newest security events, newest first.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the database does not answer.
    pub async fn newest_audit_events(&self, limit: u32) -> Result<Vec<AuditRecord>, AuditError> {
        self.app.audit.flush().await;
        let events = self.app.store.newest_events(limit).await;
        let events = events.map_err(|error| AuditError(error.to_string()))?;
        Ok(events
            .into_iter()
            .map(|event| AuditRecord {
                time: event.time,
                kind: event.kind.as_str(),
                account_id: event.account.map(|account| account.uuid().to_string()),
                session_id: event.session.map(|session| session.to_string()),
                address: event.address,
                device: event.device,
                actor: event.actor.map(|actor| actor.to_string()),
                detail: event.detail,
            })
            .collect())
    }

    /// Every signing key, newest first.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`] if the database does not answer.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, SigningKeyError> {
        let keys = self.app.list_signing_keys().await;
        let keys = keys.map_err(|error| SigningKeyError(error.to_string()))?;
        Ok(keys.into_iter().map(Into::into).collect())
    }

    /// Starts the change to a new signing key, unless one is under way, and gives back the key that
    /// signs next. A compromised one is withdrawn at once instead, with the keys that sign now and
    /// next and every token that they signed, and the key that is given back signs. One that was
    /// withdrawn before is withdrawn no second time.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError`]: there is no such key, or the database does not answer.
    pub async fn rotate_signing_key(
        &self,
        compromised: Option<&str>,
    ) -> Result<SigningKeyRecord, SigningKeyError> {
        let by = Administrator::OPERATOR;
        let key = match compromised {
            Some(known) => self.app.withdraw_signing_key(by, known).await,
            None => self.app.rotate_signing_key(by).await,
        };
        key.map(Into::into).map_err(|error| SigningKeyError(error.to_string()))
    }

    /// Creates a user without asking whether registration is open, and gives back their id.
    ///
    /// # Errors
    ///
    /// [`CreateUserError`] says what is wrong with name or password, that the name is taken, or that
    /// the database did not answer.
    pub async fn create_user(
        &self,
        username: &str,
        password: &str,
        kind: UserKind,
    ) -> Result<String, CreateUserError> {
        let (by, password) = (Administrator::OPERATOR, password.to_owned());
        let user = self.app.add_user(by, username, password, kind.roles()).await;
        user.map(|user| user.id.to_string()).map_err(|error| CreateUserError::new(&error))
    }

    /// The id of the user of this name: as they are if they exist, else created as by
    /// [`Server::create_user`].
    ///
    /// # Errors
    ///
    /// As [`Server::create_user`], but for a name that is taken.
    pub async fn ensure_user(
        &self,
        username: &str,
        password: &str,
        kind: UserKind,
    ) -> Result<String, CreateUserError> {
        let id = self.app.ensure_user(username, password.to_owned(), kind.roles()).await;
        id.map(|id| id.to_string()).map_err(|error| CreateUserError::new(&error))
    }
}

impl Service for Server {
    const NAME: &'static str = "AuthService";

    type Files = Files;

    fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The public keys are served there too, those of `GetJwks`: at `/.well-known/jwks.json`.
    fn with_operations(self, listener: TcpListener) -> Self {
        Self { operations: Some(listener), ..self }
    }

    fn hurried_by(mut self, hurry: watch::Receiver<bool>) -> Self {
        self.serving.drain = self.serving.drain.unless(hurry);
        self
    }

    fn files(&self) -> Files {
        Files(Arc::clone(&self.app))
    }

    async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let incoming = Connections::of(listener, self.most_connections);
        match self.tls.clone() {
            Some(tls) => self.run_on(tls.accept(incoming), shutdown).await,
            None => self.run_on(incoming, shutdown).await,
        }
    }
}

/// The ring of master keys, which can be read again while it serves.
#[derive(Clone, Debug)]
pub struct Files(Arc<App>);

impl service::Files for Files {
    /// Reads the ring of master keys again.
    async fn read_again(&self) {
        match self.0.master.read_again().await {
            Ok(signs) => tracing::info!(signs, "the master keys were read again"),
            Err(error) => {
                tracing::error!(%error, "the master keys cannot be read again; those in use stay");
            }
        }
    }
}

/// What AuthService cannot do without.
fn readiness(app: &Arc<App>) -> Readiness {
    let (stored, signing) = (Arc::clone(app), Arc::clone(app));
    Readiness::new([
        Unready::check("database", move || {
            let app = Arc::clone(&stored);
            async move { app.store.answers().await.map_err(|_| "cannot be used") }
        }),
        Unready::check("signing keys", move || {
            let app = Arc::clone(&signing);
            async move { app.can_sign().await.then_some(()).ok_or("cannot be read") }
        }),
    ])
}

/// Why the audit events could not be read.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct AuditError(String);

/// A security event, as an operator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When it happened.
    pub time: Timestamp,
    /// What happened: `login_failed`, `refresh_reused` and so on.
    pub kind: &'static str,
    /// Whose account it was, a user's or a service's, if the request named one that exists.
    pub account_id: Option<String>,
    /// Which session it was.
    pub session_id: Option<String>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// What the client called itself when it logged in.
    pub device: String,
    /// Who did it, if not the account that it is about: `user:` or `service:` and the id of an
    /// administrator, or `operator` for a command where the database is.
    pub actor: Option<String>,
    /// What was set: roles, an overlap, the name of a key.
    pub detail: String,
}

/// Why the signing keys could not be read or rotated.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct SigningKeyError(String);

/// A signing key, as an operator reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigningKeyRecord {
    /// Names it in a token's header.
    pub kid: String,
    /// `next`, `active` or `retired`.
    pub state: &'static str,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it came into its state.
    pub state_time: Timestamp,
}

impl From<StoredKey> for SigningKeyRecord {
    fn from(stored: StoredKey) -> Self {
        Self {
            kid: stored.key.kid,
            state: stored.state.as_str(),
            create_time: stored.create_time,
            state_time: stored.state_time,
        }
    }
}

/// The database that the settings name.
async fn open_store(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, StartError> {
    let clock = Arc::clone(clock);
    Ok(match config.database()? {
        Some(url) => {
            // Only the ring of master keys is kept there.
            if config.master_keys.is_none() {
                DataDir::make(&config.data_dir).map_err(OpenError::from)?;
            }
            Arc::new(PostgresStore::open(url.servers()?, DatabaseClock::SERVER, clock).await?)
        }
        None => Arc::new(SqliteStore::open(&config.data_dir, clock).await?),
    })
}

impl CreateUserError {
    fn new(error: &AppError) -> Self {
        Self(error.to_string())
    }
}

/// What a user who is created by an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserKind {
    /// Reads, and writes what is theirs.
    Editor,
    /// Administers too.
    Admin,
}

impl UserKind {
    fn roles(self) -> Vec<Role> {
        match self {
            Self::Editor => vec![Role::Editor],
            Self::Admin => vec![Role::Editor, Role::Admin],
        }
    }
}

impl fmt::Display for UserKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Editor => "editor",
            Self::Admin => "admin",
        })
    }
}

/// How long storing what is left and closing the database may take.
const CLOSING: Duration = Duration::from_secs(5);
/// What every name of AuthService's own metrics begins with.
const METRICS_PREFIX: &str = "evergreen_auth";
const SERVICES: [&str; 2] = [AUTH_SERVICE, ADMIN_SERVICE];
/// RPCs that wait for a password hash, and under a name for each other.
const HASHING: [&str; 4] = [
    "/evergreen.auth.v1.AuthService/Register",
    "/evergreen.auth.v1.AuthService/Login",
    "/evergreen.auth.v1.AuthService/ChangePassword",
    "/evergreen.auth.v1.AdminService/CreateUser",
];
/// The largest request of the contract is a changed password.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
