//! A gateway that serves many users over one upstream channel.
//!
//! Its callers hold an opaque session id and no token, as a browser should: the gateway keeps the
//! tokens, and sends each call upstream as its user.
//!
//! ```sh
//! cargo run --release --bin evergreen -- up --demo --access-token-ttl 2s
//! cargo run --example gateway -- 5    # beside it, for five seconds
//! ```
//!
//! `AUTH_URL` and `API_URL` name other addresses.

use std::{
    collections::HashMap,
    convert::Infallible,
    env,
    error::Error,
    fs,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use client_sdk::{
    AuthServiceRefresher, AuthenticationError, Reauth, ReauthLayer, RefreshFuture, RefreshRequest,
    Refresher, Renewal, Session, SessionState, store::FileStore,
};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use token::entropy::{Entropy, SystemEntropy};
use tokio::{
    net::TcpListener,
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, interval},
};
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tower::{Layer as _, Service};

/// The sessions of everybody who has signed in: those in use in memory, all of them in files.
struct Sessions {
    auth_url: String,
    /// One connection for all of their refreshes.
    auth: Channel,
    dir: PathBuf,
    held: Mutex<HashMap<String, Held>>,
    /// As many as may be in memory. A request in flight holds one, so that there is always room or
    /// an idle session to make room of.
    places: Arc<Semaphore>,
    capacity: usize,
    opened: AtomicUsize,
    refreshes: Arc<AtomicUsize>,
}

struct Held {
    session: Session,
    last_used: Instant,
    /// Every lease has a clone.
    in_use: Arc<()>,
}

/// A session that stays in memory for as long as this does.
struct Lease {
    session: Session,
    _in_use: Arc<()>,
    _place: OwnedSemaphorePermit,
}

impl Sessions {
    fn new(auth_url: String, dir: PathBuf, capacity: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            auth: Endpoint::from_shared(auth_url.clone())?.connect_lazy(),
            auth_url,
            dir,
            held: Mutex::default(),
            places: Arc::new(Semaphore::new(capacity)),
            capacity,
            opened: AtomicUsize::new(0),
            refreshes: Arc::default(),
        })
    }

    /// Logs somebody in, and gives back the id that stands for their session.
    async fn sign_in(&self, user: &str, password: &str) -> Result<String, AuthenticationError> {
        let entropy: &dyn Entropy = &SystemEntropy;
        let id = format!("{:032x}", u128::from_le_bytes(entropy.array()));
        self.open(&id).await?.login(user, password).await?;
        Ok(id)
    }

    /// The session that `id` stands for.
    async fn lease(&self, id: Option<HeaderValue>) -> Result<Lease, Status> {
        let unknown = || Status::unauthenticated("there is no such session; sign in");
        let id = id.as_ref().and_then(|id| id.to_str().ok()).ok_or_else(unknown)?;
        // It becomes the name of a file.
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        // Held while a file is read, so that a session is not opened twice.
        let mut held = self.held.lock().await;
        if !held.contains_key(id) {
            let session = self.open(id).await?;
            if matches!(*session.state().borrow(), SessionState::SignedOut { .. }) {
                return Err(unknown());
            }
            self.make_room(&mut held);
            let (last_used, in_use) = (Instant::now(), Arc::new(()));
            held.insert(id.to_owned(), Held { session, last_used, in_use });
        }
        let found = held.get_mut(id).ok_or_else(unknown)?;
        found.last_used = Instant::now();
        let (session, in_use) = (found.session.clone(), Arc::clone(&found.in_use));
        Ok(Lease { session, _in_use: in_use, _place: place })
    }

    async fn open(&self, id: &str) -> Result<Session, AuthenticationError> {
        self.opened.fetch_add(1, Relaxed);
        let refresher = AuthServiceRefresher::new(self.auth.clone());
        Session::builder(self.auth_url.clone())
            .channel(self.auth.clone())
            .refresher(Counted { refresher, renewed: Arc::clone(&self.refreshes) })
            .store(FileStore::open(self.dir.join(id))?)
            .device_name("gateway")
            .connect()
            .await
    }

    /// Lets go of the idle session that was used longest ago, if there is no room for another. Its
    /// tokens are in its file, and a refresh that it has begun goes on.
    fn make_room(&self, held: &mut HashMap<String, Held>) {
        while held.len() >= self.capacity {
            let idle = held.iter().filter(|(_, held)| Arc::strong_count(&held.in_use) == 1);
            let oldest = idle.min_by_key(|(_, held)| held.last_used).map(|(id, _)| id.clone());
            if oldest.and_then(|id| held.remove(&id)).is_none() {
                return;
            }
        }
    }
}

/// AuthService's own refresher, and how often it has brought new tokens.
#[derive(Debug)]
struct Counted {
    refresher: AuthServiceRefresher,
    renewed: Arc<AtomicUsize>,
}

impl Refresher for Counted {
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_> {
        Box::pin(async move {
            let renewal = self.refresher.refresh(request).await;
            self.renewed.fetch_add(usize::from(matches!(renewal, Renewal::Renewed(_))), Relaxed);
            renewal
        })
    }
}

/// Passes every gRPC call on as the session that it names.
#[derive(Clone)]
struct Gateway {
    sessions: Arc<Sessions>,
    upstream: Reauth<Channel>,
}

impl Service<Request<Body>> for Gateway {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Self { sessions, mut upstream } = self.clone();
        Box::pin(async move {
            let id = take(request.headers_mut());
            let lease = match sessions.lease(id).await {
                Ok(lease) => lease,
                Err(status) => return Ok(status.into_http()),
            };
            request.extensions_mut().insert(lease.session.clone());
            let answer = match std::future::poll_fn(|cx| upstream.poll_ready(cx)).await {
                Ok(()) => upstream.call(request).await,
                Err(error) => Err(error),
            };
            // A stream that goes on from here keeps its session alive by itself.
            drop(lease);
            Ok(answer.unwrap_or_else(|error| Status::unavailable(error.to_string()).into_http()))
        })
    }
}

/// Takes out what is between caller and gateway. An `authorization` of the caller's own would go
/// upstream untouched.
fn take(headers: &mut HeaderMap) -> Option<HeaderValue> {
    headers.remove(AUTHORIZATION);
    headers.remove(SESSION)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seconds = env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let auth_url = address("AUTH_URL", "http://127.0.0.1:50051");
    let api_url = address("API_URL", "http://127.0.0.1:50052");
    let dir = tempfile::tempdir()?;
    let sessions = Arc::new(Sessions::new(auth_url.clone(), dir.path().to_owned(), CAPACITY)?);
    let upstream = ReauthLayer::per_request().layer(Endpoint::from_shared(api_url)?.connect_lazy());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let gateway = Gateway { sessions: Arc::clone(&sessions), upstream };
    tokio::spawn(Server::builder().serve_with_incoming(gateway, TcpIncoming::from(listener)));

    let mut ids = Vec::with_capacity(USERS);
    for _ in 0..USERS {
        let id = sessions.sign_in("demo", "evergreen-demo-1").await.map_err(|error| {
            format!(
                "{error}\nIs there an Evergreen at {auth_url}? Start it with\n  \
                 cargo run --release --bin evergreen -- up --demo --access-token-ttl 2s"
            )
        })?;
        ids.push(id);
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut users = JoinSet::new();
    for (user, id) in ids.into_iter().enumerate() {
        // Every fourth is busy, and stays in memory.
        let pause = Duration::from_millis(if user % 4 == 0 { 100 } else { 700 });
        users.spawn(browse(Endpoint::from_shared(url.clone())?, id, pause, end));
    }
    let (mut calls, mut failed) = (0, 0);
    for counted in users.join_all().await {
        calls += counted.0;
        failed += counted.1;
    }

    println!(
        "{USERS} users, at most {CAPACITY} sessions in memory, {} at the end, opened {} times",
        sessions.held.lock().await.len(),
        sessions.opened.load(Relaxed)
    );
    println!("{calls} calls, {} refreshes, {failed} failed", sessions.refreshes.load(Relaxed));
    if let Some(kib) = resident_kib() {
        println!("{} MiB of memory", kib / 1024);
    }
    if failed > 0 { Err("calls have failed".into()) } else { Ok(()) }
}

/// One user, who lists trees again and again. How many calls, and how many of them failed.
async fn browse(gateway: Endpoint, id: String, pause: Duration, end: Instant) -> (u32, u32) {
    let mut api = ApiServiceClient::new(gateway.connect_lazy());
    let (mut calls, mut failed) = (0, 0);
    let mut turn = interval(pause);
    while Instant::now() < end {
        turn.tick().await;
        let mut request = tonic::Request::new(ListTreesRequest::default());
        let id = id.parse().expect("an id is of hexadecimal digits");
        request.metadata_mut().insert(SESSION, id);
        calls += 1;
        if let Err(status) = api.list_trees(request).await {
            failed += 1;
            eprintln!("{status}");
        }
    }
    (calls, failed)
}

fn address(variable: &str, default: &str) -> String {
    env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// The memory of this process, where the system tells.
fn resident_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The header that names a session of the gateway.
const SESSION: &str = "gateway-session";
const USERS: usize = 24;
const CAPACITY: usize = 8;
