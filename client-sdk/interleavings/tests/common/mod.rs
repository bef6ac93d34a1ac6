//! A scripted session over a scripted server, under a checker.
#![allow(unreachable_pub, reason = "shared by test files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{
    collections::HashMap,
    convert::Infallible,
    env,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http::{Request, Response};
use interleaved_sdk::{
    Session, SessionBuilder, TokenPair,
    store::MemoryStore,
    testing::{ScriptedRefresher, pair},
};
use secrecy::ExposeSecret as _;
use shuttle::{
    Config, Runner,
    scheduler::{PctScheduler, RandomScheduler},
    sync::Mutex,
};
use tokio::task::JoinHandle;
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Service, ServiceExt as _};

/// Runs `claim` under schedules drawn at random, half of them such that few changes of the running
/// task at the wrong moment suffice to break what can be broken.
pub fn any_order<F, Fut>(claim: F)
where
    F: Fn() -> Fut + Send + Sync + Copy + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let schedules = env::var("EVERGREEN_SCHEDULES").ok();
    let schedules = schedules.map_or(SCHEDULES, |n| n.parse().expect("a number of schedules"));
    let mut config = Config::new();
    // Unoptimised, the futures of a whole SDK are large.
    config.stack_size = 1 << 20;
    let run = move || shuttle::future::block_on(claim());
    Runner::new(RandomScheduler::new(schedules), config.clone()).run(run);
    Runner::new(PctScheduler::new(CHANGES, schedules), config).run(run);
}

/// A session that holds `access-0`/`refresh-0`.
pub async fn signed_in(
    refresher: &ScriptedRefresher,
    with: impl FnOnce(SessionBuilder) -> SessionBuilder,
) -> Session {
    let session = with(Session::custom(refresher.clone())).connect().await.unwrap();
    session.set_tokens(pair(0)).await.unwrap();
    session
}

pub fn pair_of(token: &str, session: &str) -> TokenPair {
    TokenPair::new(token).refresh_token(format!("refresh-{token}")).session_id(session)
}

pub fn token_of(session: &Session) -> String {
    session.access_token().expect("signed in").expose_secret().to_owned()
}

/// The token that a process started now would find.
pub async fn stored_token(store: &MemoryStore) -> Option<String> {
    let next_run = Session::custom(ScriptedRefresher::new()).store(store.clone());
    let token = next_run.connect().await.unwrap().access_token()?;
    Some(token.expose_secret().to_owned())
}

/// A server that says of some tokens that they have expired.
#[derive(Clone)]
pub struct Server {
    bad: &'static [&'static str],
    calls: Arc<AtomicUsize>,
    /// Which call was sent with which token.
    sent: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    pub fn refusing(bad: &'static [&'static str]) -> Self {
        Self { bad, calls: Arc::default(), sent: Arc::default() }
    }

    pub fn sends(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    fn note(&self, call: &str, token: &str) {
        let sent = (call.to_owned(), token.to_owned());
        let mut before = self.sent.lock().unwrap();
        assert!(!before.contains(&sent), "{call} is sent again with {token}, which was refused");
        assert!(before.iter().filter(|(id, _)| id == call).count() < 2, "{call} is sent thrice");
        before.push(sent);
    }
}

impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let header = |name| request.headers()[name].to_str().unwrap();
            let token = header("authorization").trim_start_matches("Bearer ");
            // The way there and the way back are points where another task may go first.
            server.note(header("call"), token);
            let refused = server.bad.contains(&token);
            drop(server.sent.lock().unwrap());
            Ok(if refused { expired() } else { Status::new(Code::Ok, "") }.into_http())
        })
    }
}

pub async fn call(session: &Session, server: &Server) -> Status {
    let service = tower::ServiceBuilder::new().layer(session.layer()).service(server.clone());
    let number = server.calls.fetch_add(1, Ordering::Relaxed);
    let request = Request::builder().uri("/p.S/M").header("call", format!("call {number}"));
    let response = service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    Status::from_header_map(response.headers()).expect("every answer has its status in the head")
}

/// The same in a task of its own.
pub fn spawn_call(session: &Session, server: &Server) -> JoinHandle<Status> {
    let (session, server) = (session.clone(), server.clone());
    tokio::spawn(async move { call(&session, &server).await })
}

fn expired() -> Status {
    let details =
        ErrorDetails::with_error_info("ACCESS_TOKEN_EXPIRED", "evergreen", HashMap::new());
    Status::with_error_details(Code::Unauthenticated, "refused", details)
}

const SCHEDULES: usize = 500;
const CHANGES: usize = 3;
