//! Whatever answers in the token service's place, a session is kept, and nothing loops.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use client_sdk::{
    AuthServiceRefresher, AuthenticationError as E, RefreshFuture, RefreshRequest, Refresher,
    Renewal, Session, SessionState, TokenPair,
    store::{MemoryStore, Store as _},
    testing::pair,
};
use common::{Server, call, data, framed, settle, token_of, trailers};
use evergreen_proto::auth::v1 as pb;
use http::{Request, Response};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

/// Answers every attempt with this pair.
#[derive(Clone, Debug)]
struct Issuer {
    pair: Arc<std::sync::Mutex<TokenPair>>,
    attempts: Arc<AtomicUsize>,
}

impl Issuer {
    fn new(pair: TokenPair) -> Self {
        Self { pair: Arc::new(std::sync::Mutex::new(pair)), attempts: Arc::default() }
    }

    fn attempts(&self) -> usize {
        self.attempts.load(SeqCst)
    }
}

impl Refresher for Issuer {
    fn refresh(&self, _: RefreshRequest) -> RefreshFuture<'_> {
        self.attempts.fetch_add(1, SeqCst);
        let pair = self.pair.lock().unwrap().clone();
        Box::pin(async { Renewal::Renewed(pair) })
    }
}

async fn session(refresher: impl Refresher, store: MemoryStore) -> Session {
    let session = Session::custom(refresher).store(store).budget(BUDGET).connect().await.unwrap();
    session.set_tokens(pair(0)).await.unwrap();
    session
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_tokens_that_cannot_be_used_is_no_answer() {
    for (bad, says) in [
        (TokenPair::new(""), "no tokens"),
        (TokenPair::new("access\r\nevil: 1"), "header"),
        (TokenPair::new("access 1"), "header"),
        (TokenPair::new("access\u{7f}"), "header"),
        (TokenPair::new("acc\u{e8}s"), "header"),
        (TokenPair::new("access-1").refresh_token("refresh\n1"), "header"),
        (TokenPair::new("x".repeat(100 << 10)), "too long"),
        (TokenPair::new("access-1").refresh_token("x".repeat(100 << 10)), "too long"),
        (TokenPair::new("access-1").session_id("x".repeat(100 << 10)), "too long"),
    ] {
        let (issuer, store) = (Issuer::new(bad), MemoryStore::new());
        let session = session(issuer.clone(), store.clone()).await;
        let began = Instant::now();
        let error = session.refresh().await.unwrap_err();
        assert!(
            matches!(&error, E::Unreachable { message, .. } if message.contains(says)),
            "{error}"
        );
        assert!(
            began.elapsed() <= BUDGET && issuer.attempts() <= ATTEMPTS,
            "{}",
            issuer.attempts()
        );
        assert_eq!(token_of(&session), "access-0");

        // Calls go on with what there is, and the same attempt is repeated later.
        assert_eq!(call(&session, &Server::refusing("none")).await.code(), Code::Ok);
        assert!(store.load().await.unwrap().unwrap().attempt().is_some());
        *issuer.pair.lock().unwrap() = pair(1);
        tokio::time::advance(BUDGET).await;
        session.refresh().await.unwrap();
        assert_eq!(token_of(&session), "access-1");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_the_application_brings_are_judged_too_and_the_session_stays_as_it_is() {
    let (issuer, store) = (Issuer::new(pair(1)), MemoryStore::new());
    let session = session(issuer, store.clone()).await;
    let before = store.load().await.unwrap().unwrap().encode();
    for bad in ["access\n9", "access 9", "\u{e8}", &"x".repeat(100 << 10)] {
        let error = session.set_tokens(TokenPair::new(bad)).await.unwrap_err();
        assert!(matches!(error, E::Configuration { .. }), "{error}");
    }
    assert_eq!(token_of(&session), "access-0");
    assert_eq!(store.load().await.unwrap().unwrap().encode(), before);
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_that_makes_no_sense_does_not_make_every_call_refresh() {
    let day = Duration::from_secs(86_400);
    let lives = [Duration::ZERO, Duration::from_nanos(1), day, Duration::MAX];
    for life in lives {
        for after in [Duration::ZERO, Duration::from_nanos(1), day * 2, Duration::MAX] {
            let issuer = Issuer::new(pair(1).access_expires_in(life).refresh_after(after));
            let session = session(issuer.clone(), MemoryStore::new()).await;
            session.refresh().await.unwrap();
            let server = Server::refusing("access-0");
            for _ in 0..20 {
                assert_eq!(call(&session, &server).await.code(), Code::Ok);
                settle().await;
            }
            assert_eq!(issuer.attempts(), 1, "{life:?} {after:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_at_its_end_even_if_it_is_said_to_be_due_later() {
    let life = Duration::from_secs(100);
    let issuer = Issuer::new(pair(1).access_expires_in(life).refresh_after(life * 50));
    let session = session(issuer.clone(), MemoryStore::new()).await;
    session.refresh().await.unwrap();
    tokio::time::advance(life).await;
    assert_eq!(call(&session, &Server::refusing("access-0")).await.code(), Code::Ok);
    assert_eq!(issuer.attempts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_all_tokens_of_no_lifetime_is_asked_a_bounded_number_of_times() {
    let issuer = Issuer::new(pair(1).access_expires_in(Duration::ZERO));
    let session = session(issuer.clone(), MemoryStore::new()).await;
    let server = Server::new(|_| common::expired());
    let mut last = Code::Ok;
    for _ in 0..50 {
        last = call(&session, &server).await.code();
    }
    assert_eq!((last, issuer.attempts()), (Code::Unauthenticated, WINDOW));
}

/// A transport on which AuthService answers this message.
#[derive(Clone)]
struct Answering(Vec<u8>);

impl Service<Request<Body>> for Answering {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let length = u32::try_from(self.0.len()).unwrap().to_be_bytes();
        let message = [&[0][..], &length, &self.0].concat();
        let frames = vec![data(message.leak()), trailers(&Status::ok(""))];
        Box::pin(async { Ok(framed(frames)) })
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_auth_service_without_tokens_or_with_impossible_numbers_is_survived() {
    let whole = pb::TokenPair {
        access_token: "access-1".to_owned(),
        refresh_token: "refresh-1".to_owned(),
        session_id: "s1".to_owned(),
        ..Default::default()
    };
    let number = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let with = |life, after| pb::TokenPair {
        access_expires_in: life,
        refresh_after: after,
        ..whole.clone()
    };
    for (tokens, good) in [
        (None, false),
        (Some(pb::TokenPair::default()), false),
        (Some(pb::TokenPair { access_token: "a\nb".to_owned(), ..whole.clone() }), false),
        (Some(with(None, None)), true),
        (Some(with(number(0, 0), number(0, 0))), true),
        (Some(with(number(-5, 0), number(-1, -1))), true),
        (Some(with(number(i64::MAX, i32::MAX), number(i64::MAX, i32::MAX))), true),
        (Some(with(number(i64::MIN, i32::MIN), number(900, i32::MIN))), true),
    ] {
        let answer = pb::RefreshResponse { tokens }.encode_to_vec();
        let refresher = AuthServiceRefresher::new(Answering(answer));
        let session = session(refresher, MemoryStore::new()).await;
        let refreshed = session.refresh().await;
        if good {
            refreshed.unwrap();
            assert_eq!(token_of(&session), "access-1");
        } else {
            assert!(matches!(refreshed, Err(E::Unreachable { .. })), "{refreshed:?}");
            assert_eq!(token_of(&session), "access-0");
        }
    }
    // Bytes that are no message at all.
    let refresher = AuthServiceRefresher::new(Answering(vec![0xff; 64]));
    let session = session(refresher, MemoryStore::new()).await;
    assert!(matches!(session.refresh().await, Err(E::Unreachable { .. })));
}

/// Serves each connection so, and counts them.
async fn listen<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (url, connections)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A login and a refresh at `url` fail as something that may pass, in time, and the session is kept.
async fn is_no_token_service(url: &str) {
    let budget = Duration::from_millis(600);
    let session = Session::builder(url.to_owned())
        .budget(budget)
        .attempt_timeout(budget / 3)
        .connect()
        .await
        .unwrap();
    let error = session.login("ada", "a password").await.unwrap_err();
    assert!(matches!(error, E::Service(_) | E::DeadlineExceeded), "{error:?}");
    assert!(matches!(*session.state().borrow(), SessionState::SignedOut { .. }));

    session.set_tokens(pair(0)).await.unwrap();
    let mut events = session.events();
    let began = Instant::now();
    let error = session.refresh().await.unwrap_err();
    assert!(matches!(error, E::Unreachable { .. }) && error.is_transient(), "{error:?}");
    assert!(began.elapsed() < budget + SLACK, "{:?}", began.elapsed());
    assert_eq!(token_of(&session), "access-0");
    assert!(matches!(*session.state().borrow(), SessionState::SignedIn { .. }));
    let event = events.recv().await;
    assert!(matches!(event, Some(client_sdk::Event::RefreshFailing { .. })), "{event:?}");

    // The next ones are told at once.
    for _ in 0..20 {
        assert!(matches!(session.refresh().await, Err(E::CoolingDown { .. })));
    }
}

#[tokio::test]
async fn a_server_that_speaks_http_1_is_no_token_service() {
    let (url, connections) = listen(|mut stream| async move {
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    is_no_token_service(&url).await;
    assert!((1..=2 * ATTEMPTS).contains(&connections.load(SeqCst)), "{connections:?}");
}

#[tokio::test]
async fn a_port_that_closes_every_connection_is_no_token_service() {
    let (url, connections) = listen(|stream| async move { drop(stream) }).await;
    is_no_token_service(&url).await;
    assert!((1..=2 * ATTEMPTS).contains(&connections.load(SeqCst)), "{connections:?}");
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_no_token_service() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap());
    drop(listener);
    is_no_token_service(&url).await;
}

#[tokio::test]
async fn a_port_that_says_nothing_is_no_token_service() {
    let (url, connections) = listen(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    is_no_token_service(&url).await;
    assert!((1..=2 * ATTEMPTS).contains(&connections.load(SeqCst)), "{connections:?}");
}

/// A web server's welcome page, at AuthService's path.
#[derive(Clone)]
struct Welcome;

impl NamedService for Welcome {
    const NAME: &'static str = "evergreen.auth.v1.AuthService";
}

impl Service<Request<Body>> for Welcome {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let mut response = framed(vec![data(b"<html><body>It works!</body></html>")]);
        response.headers_mut().insert("content-type", "text/html".parse().unwrap());
        std::future::ready(Ok(response))
    }
}

#[tokio::test]
async fn a_web_page_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(Welcome)
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    is_no_token_service(&url).await;
}

const BUDGET: Duration = Duration::from_secs(5);
/// More than backoff leaves room for in any of the budgets here.
const ATTEMPTS: usize = 20;
/// The default.
const WINDOW: usize = 5;
/// What a busy machine may take for nothing.
const SLACK: Duration = Duration::from_secs(5);
