//! The composition root: the one place that sees every layer.

use std::{io, num::NonZeroUsize, sync::Arc, time::Duration};

use client_sdk::{
    ServiceRefresher, Session,
    guard::{
        AuthServiceKeys, AuthServiceRevocations, Guard, GuardLayer, KeyCache, Revocations,
        RevocationsBuilder, WhileSilent,
    },
};
use evergreen_proto::api::v1::api_service_server::{ApiServiceServer, SERVICE_NAME};
use futures_util::future::OptionFuture;
use thiserror::Error;
use token::{clock::Clock, entropy::Entropy};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    time::timeout,
};
use tokio_stream::Stream;
use tonic::{service::Routes, transport::server::Connected};
use tower::Layer as _;
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
    serve::{ServeError, Serving, connections},
    service::Service,
    tls::{ClientTls, LOOK_AT_CERTIFICATE, Tls, keep_current},
};

use crate::{
    app::App,
    config::Config,
    error::StartError,
    rpc::{Rpc, guard_policy},
    storage::{
        Store, StoreError,
        postgres::PostgresStore,
        sqlite::{FILE, OpenError, SqliteStore},
    },
};

#[cfg(any(test, feature = "simulation"))]
use crate::storage::memory::{MemoryDatabase, MemoryStore};

mod auth;
mod backup;
mod doctor;
mod measured;
#[cfg(test)]
mod tests;

use self::{auth::AuthService, measured::guard_metrics};
pub use self::{
    auth::Files,
    backup::{CareError, backup, restore},
    doctor::doctor,
};

/// An ApiService on its database. While it lives, no other process can open the data directory, if
/// the database is there.
#[derive(Debug)]
pub struct Server {
    app: App,
    guard: Guard,
    /// Followed while it serves.
    revocations: Option<RevocationsBuilder>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    trace_ids: Arc<TraceIds>,
    request_timeout: Duration,
    most_connections: NonZeroUsize,
    most_requests: NonZeroUsize,
    tls: Option<Tls>,
    /// What is shown to AuthService, and whom is trusted there.
    auth_tls: Option<ClientTls>,
    drain: Drain,
    operations: Option<TcpListener>,
    metrics: Metrics,
    readiness: Readiness,
    exporter: Option<Exporter>,
    /// Held while the server lives; none without a file in it.
    _directory: Option<DataDir>,
}

/// The demo's data could not be written.
#[derive(Debug, Error)]
#[error("the demo's data could not be written")]
pub struct SeedError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Server {
    /// Opens the database, which is in the data directory unless the settings name another, makes it
    /// if need be, and brings its schema up to date. AuthService is not asked for anything yet.
    ///
    /// # Errors
    ///
    /// [`StartError`], which names the setting and what to do.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        config.validate()?;
        let auth = AuthService::of(&config, &clock)?;
        let guard = guard(&config, &auth, &clock, &entropy);
        let revocations = revocations(&config, &auth, &clock, &entropy).await?;
        let opened = Self::open_with_guard(config, clock, entropy, observer, guard).await?;
        Ok(Self { revocations, auth_tls: auth.tls, ..opened })
    }

    /// [`Self::open`], with a guard of its own.
    pub(crate) async fn open_with_guard(
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
        guard: Guard,
    ) -> Result<Self, StartError> {
        config.validate()?;
        if let Some(url) = config.database()? {
            let opened = PostgresStore::open(url.servers()?).await?;
            return Self::compose(Arc::new(opened), None, config, clock, entropy, observer, guard)
                .await
                .map_err(|error| StartError::database(&error));
        }
        let directory = DataDir::claim(&config.data_dir, "api")?;
        let file = directory.private_file(FILE)?;
        let opened = SqliteStore::open(&file).await.map_err(|error| match error {
            OpenError::Corrupt(source) => {
                StartError::Corrupt { file: file.clone(), source: source.into() }
            }
            OpenError::Failed(source) => {
                StartError::Storage { file: file.clone(), source: source.into() }
            }
            OpenError::Migration(source) => {
                StartError::Storage { file: file.clone(), source: source.into() }
            }
            OpenError::Schema(schema) => {
                StartError::Schema { database: format!("--data-dir: {}", file.display()), schema }
            }
        })?;
        Self::compose(Arc::new(opened), Some(directory), config, clock, entropy, observer, guard)
            .await
            .map_err(|source| StartError::Storage { file, source: source.into() })
    }

    /// [`Self::open`], with everything that it keeps in `memory` and a guard of its own: it touches
    /// no disk and starts no thread, so that a simulation decides all that happens. Serve it with
    /// [`Self::run_on`]. To let it crash, drop the runtime that serves it: connections are tasks of
    /// their own, which would end the calls under way.
    ///
    /// The data directory and the addresses in `config` are not used; the addresses are checked all
    /// the same.
    ///
    /// # Errors
    ///
    /// [`StartError::Config`], which names the setting and what to do.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use api_service::{Config, MemoryDatabase, Server};
    /// use client_sdk::guard::{AuthServiceKeys, Guard, KeyCache};
    /// use token::{clock::{ManualClock, Timestamp}, entropy::SeededEntropy};
    /// use tonic::transport::Endpoint;
    /// use transport::observe::LogObserver;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let memory = MemoryDatabase::default();
    /// let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
    /// let auth = Endpoint::from_static("http://auth:50051").connect_lazy();
    /// let keys = KeyCache::new(AuthServiceKeys::new(auth), clock.clone());
    /// let guard = Guard::new("evergreen", "evergreen", keys);
    /// for life in 0..2 {
    ///     let server = Server::open_in_memory(
    ///         &memory,
    ///         Config::default(),
    ///         clock.clone(),
    ///         // Another seed in every life, or it would draw the ids of the one before.
    ///         Arc::new(SeededEntropy::new(life)),
    ///         Arc::new(LogObserver),
    ///         guard.clone(),
    ///     )
    ///     .await?;
    ///     server.seed_demo("ada").await?;
    ///     // A crash; the next life finds what this one wrote.
    ///     drop(server);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(any(test, feature = "simulation"))]
    pub async fn open_in_memory(
        memory: &MemoryDatabase,
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
        guard: Guard,
    ) -> Result<Self, StartError> {
        config.validate()?;
        let opened = MemoryStore::open(memory);
        Self::compose(Arc::new(opened), None, config, clock, entropy, observer, guard)
            .await
            .map_err(|source| StartError::Storage { file: "memory".into(), source: source.into() })
    }

    /// A server on what was opened.
    async fn compose(
        store: Arc<dyn Store>,
        directory: Option<DataDir>,
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
        guard: Guard,
    ) -> Result<Self, StoreError> {
        let trace_ids = Arc::new(TraceIds::new(entropy.array()));
        let app = App::new(store, Arc::clone(&clock), entropy, config.deleted_retention).await?;
        let metrics = Metrics::new(METRICS_PREFIX, env!("CARGO_PKG_VERSION"), clock.now());
        app.measure(&metrics);
        let rpcs = RpcMetrics::new(&metrics, &[SERVICE_NAME]);
        let mut observer: Arc<dyn Observer> = Arc::new((rpcs, observer));
        // Whoever composes has validated the settings.
        let exporting = config.exporting().ok().flatten();
        let start = |exporting: &_| {
            Exporter::start(exporting, &[SERVICE_NAME], Arc::clone(&clock), &metrics)
        };
        let exporter = exporting.as_ref().map(start);
        if let Some(exporter) = &exporter {
            observer = Arc::new((exporter.clone(), observer));
        }
        let Config { request_timeout, max_connections, max_requests, .. } = config;
        let drain = Drain::within(config.drain_grace);
        let revocations = None;
        Ok(Self {
            readiness: readiness(&app),
            app,
            guard,
            revocations,
            clock,
            observer,
            trace_ids,
            request_timeout,
            most_connections: max_connections,
            most_requests: max_requests,
            tls: None,
            auth_tls: None,
            drain,
            operations: None,
            metrics,
            exporter,
            _directory: directory,
        })
    }

    /// Creates the demo's categories, and folders and trees of `owner_id`'s. What is there already
    /// is left as it is.
    ///
    /// # Errors
    ///
    /// [`SeedError`], if storage fails.
    pub async fn seed_demo(&self, owner_id: &str) -> Result<(), SeedError> {
        self.app.seed_demo(owner_id).await.map_err(|error| SeedError(error.into()))
    }

    /// Closes the database, all of which is in one file then.
    pub async fn close(self) {
        self.app.close().await;
    }

    /// [`Service::run`], on connections from anywhere, as they are.
    ///
    /// # Errors
    ///
    /// [`ServeError`], if the transport fails.
    pub async fn run_on<C>(
        self,
        incoming: impl Stream<Item = io::Result<C>>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError>
    where
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        Tls::measure(self.tls.as_ref(), &self.metrics);
        ClientTls::measure(self.auth_tls.as_ref(), &self.metrics);
        let service = ApiServiceServer::new(Rpc::new(self.app.clone()))
            .max_decoding_message_size(MOST_MESSAGE_BYTES)
            .max_encoding_message_size(MOST_MESSAGE_BYTES);
        let guard = match self.revocations {
            Some(revocations) => self.guard.revocations(revocations.follow()),
            None => self.guard,
        };
        guard_metrics(&self.metrics, &guard);
        let guarded = GuardLayer::new(guard, guard_policy()).layer(service);
        // Goes when the other port has ended, and this one follows: while calls end, probes are told
        // of it.
        let (stop, stopped) = watch::channel(());
        let operations = OptionFuture::from(self.operations.map(|listener| {
            let routes = ops::routes(self.readiness.clone(), self.metrics.clone());
            ops::serve(connections(listener), routes, stopped)
        }));
        let serving = Serving {
            clock: self.clock,
            observer: self.observer,
            trace_ids: self.trace_ids,
            request_life: self.request_timeout,
            uploads: &["/evergreen.api.v1.ApiService/ImportTrees"],
            waiting: &[],
            most_requests: self.most_requests,
            drain: self.drain,
        };
        let routes = Routes::new(guarded);
        self.readiness.serves();
        let shutdown = async {
            shutdown.await;
            self.readiness.drains();
            self.app.end_streams();
        };
        let serving = async {
            let served = serving.run(incoming, routes, &[SERVICE_NAME], shutdown).await;
            drop(stop);
            served
        };
        let both = async { tokio::join!(serving, operations).0 };
        let served = tokio::select! {
            biased;
            served = both => served,
            () = self.app.keep_purging() => Ok(()),
            () = self.app.keep_telling() => Ok(()),
            () = self.app.keep_trimming() => Ok(()),
            () = keep_current(self.tls.as_ref(), LOOK_AT_CERTIFICATE) => Ok(()),
            () = keep_current(self.auth_tls.as_ref(), LOOK_AT_CERTIFICATE) => Ok(()),
        };
        // A database that does not answer keeps nobody, spans neither.
        let flushed = OptionFuture::from(self.exporter.as_ref().map(Exporter::flush));
        let _ = tokio::join!(timeout(CLOSING, self.app.close()), flushed);
        served
    }
}

impl Service for Server {
    const NAME: &'static str = "ApiService";

    type Files = Files;

    fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    fn with_operations(self, listener: TcpListener) -> Self {
        Self { operations: Some(listener), ..self }
    }

    fn hurried_by(self, hurry: watch::Receiver<bool>) -> Self {
        Self { drain: self.drain.unless(hurry), ..self }
    }

    fn files(&self) -> Files {
        Files(self.auth_tls.clone())
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

/// What ApiService cannot do without. AuthService is not among it: tokens that are good go on being
/// served while it is away.
fn readiness(app: &App) -> Readiness {
    let app = app.clone();
    Readiness::new([Unready::check("database", move || {
        let app = app.clone();
        async move { app.storage_answers().await.then_some(()).ok_or("cannot be used") }
    })])
}

/// Judges by AuthService's keys.
fn guard(
    config: &Config,
    auth: &AuthService,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Guard {
    let keys = AuthServiceKeys::new(auth.connect_lazy());
    let keys = KeyCache::new(keys, Arc::clone(clock)).entropy(Arc::clone(entropy));
    Guard::new(&config.issuer, &config.audience, keys)
}

/// AuthService's revocations, if there is an account to follow them with.
async fn revocations(
    config: &Config,
    auth: &AuthService,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Option<RevocationsBuilder>, ConfigError> {
    let Some((id, secret)) = config.credentials()? else {
        tracing::warn!("--client-id is not set: revoked sessions live until their tokens run out");
        return Ok(None);
    };
    let session = Session::with_credentials(ServiceRefresher::new(auth.connect_lazy(), id, secret))
        .clock(Arc::clone(clock))
        .entropy(Arc::clone(entropy))
        .connect()
        .await
        .map_err(|error| ConfigError::new("--client-id", error.to_string()))?;
    let source = AuthServiceRevocations::new(session.layer().layer(auth.connect_lazy()));
    let while_silent =
        config.refuse_after_silence.map_or(WhileSilent::Admit, WhileSilent::RefuseAfter);
    let revocations = Revocations::of(source, Arc::clone(clock));
    Ok(Some(revocations.while_silent(while_silent).entropy(Arc::clone(entropy))))
}

/// How long closing the database may take.
const CLOSING: Duration = Duration::from_secs(5);
/// What every name of ApiService's own metrics begins with.
const METRICS_PREFIX: &str = "evergreen_api";
/// A tree of 5,000 nodes with bodies of ordinary length fits well; the transport's own limit of
/// 4 MiB does not hold one.
const MOST_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
