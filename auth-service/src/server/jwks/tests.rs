//! AuthService's operations port on a real socket, beside the other one.

use std::{net::SocketAddr, num::NonZeroUsize};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header::ALLOW},
};
use evergreen_proto::auth::v1::{
    GetJwksRequest, GetJwksResponse, LoginRequest, auth_service_client::AuthServiceClient,
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tempfile::TempDir;
use token::{
    clock::{ManualClock, Timestamp},
    entropy::SeededEntropy,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tonic::{Code, transport::Endpoint};
use transport::{recorder::Recorder, serve::ServeError, service::Service as _};

use super::*;
use crate::{Config, Server, app::Administrator};

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const PATIENCE: Duration = Duration::from_secs(30);
const PATH: &str = "/.well-known/jwks.json";

struct Running {
    address: SocketAddr,
    operations: SocketAddr,
    app: Arc<App>,
    clock: Arc<ManualClock>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
    _dir: TempDir,
}

impl Running {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let config = Config {
            data_dir: dir.path().to_owned(),
            hash_concurrency: Some(NonZeroUsize::MIN),
            ..Config::default()
        };
        let entropy = Arc::new(SeededEntropy::new(1));
        let server = Server::open(config, clock.clone(), entropy, Arc::new(Recorder::new()));
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (listener, operations) = (bind().await, bind().await);
        let (address, ops) = (listener.local_addr().unwrap(), operations.local_addr().unwrap());
        let server = server.await.unwrap().with_operations(operations);
        let app = Arc::clone(&server.app);
        let (stop, told) = oneshot::channel();
        let shutdown = async { told.await.unwrap() };
        let task = tokio::spawn(server.run(listener, shutdown));
        Self { address, operations: ops, app, clock, stop, task, _dir: dir }
    }

    async fn get_jwks(&self) -> GetJwksResponse {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        let mut client = AuthServiceClient::new(endpoint.connect().await.unwrap());
        client.get_jwks(GetJwksRequest {}).await.unwrap().into_inner()
    }

    async fn ask(&self, http2: bool, method: Method, path: &str) -> Answer {
        ask(self.operations, http2, method, path).await
    }

    /// Both doors tell the same; gives back how many keys, and the age.
    async fn compare(&self, http2: bool) -> (usize, Duration) {
        let expected = self.get_jwks().await;
        let answer = self.ask(http2, Method::GET, PATH).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers[CONTENT_TYPE], "application/jwk-set+json");
        let max_age = Duration::try_from(expected.max_age.unwrap()).unwrap();
        let cache = format!("public, max-age={}", max_age.as_secs());
        assert_eq!(answer.headers[CACHE_CONTROL], cache);
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(told.as_object().unwrap().len(), 1);
        let told = told["keys"].as_array().unwrap();
        assert_eq!(told.len(), expected.keys.len());
        for (told, key) in told.iter().zip(&expected.keys) {
            assert_eq!(told.as_object().unwrap().len(), 6, "{told}");
            assert_eq!(
                [&told["kty"], &told["crv"], &told["alg"], &told["use"], &told["kid"], &told["x"]],
                [&key.kty, &key.crv, &key.alg, &key.r#use, &key.kid, &key.x]
            );
        }
        (told.len(), max_age)
    }

    /// Everything that comes back for these bytes, until the server hangs up; with `hang_up`, the
    /// client does.
    async fn send(&self, bytes: &[u8], hang_up: bool) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.operations).await.unwrap();
        let mut answer = Vec::new();
        // The server may have hung up by now.
        let _ = stream.write_all(bytes).await;
        if hang_up {
            let _ = stream.shutdown().await;
        }
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

async fn ask(operations: SocketAddr, http2: bool, method: Method, path: &str) -> Answer {
    let uri = format!("http://{operations}{path}");
    let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.unwrap();
    Answer { status: head.status, headers: head.headers, body: body.into() }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

#[tokio::test]
async fn the_keys_and_their_age_are_those_of_get_jwks() {
    let running = Running::start().await;
    let max_age = Config::default().jwks_max_age;
    for http2 in [false, true] {
        assert_eq!(running.compare(http2).await, (1, max_age));
    }
    running.app.rotate_signing_key(Administrator::OPERATOR).await.unwrap();
    for http2 in [false, true] {
        assert_eq!(running.compare(http2).await, (2, max_age));
    }
    running.app.store.close().await;
    running.clock.advance(Duration::from_secs(60));
    for http2 in [false, true] {
        assert_eq!(running.compare(http2).await, (2, Duration::from_secs(1)));
    }
}

#[tokio::test]
async fn it_is_ready_while_its_database_answers() {
    let running = Running::start().await;
    let ready = running.ask(false, Method::GET, "/readyz").await;
    assert_eq!(ready.status, StatusCode::OK, "{:?}", String::from_utf8(ready.body));
    // Another one, since what was found holds for a moment.
    let running = Running::start().await;
    running.app.store.close().await;
    let unready = running.ask(false, Method::GET, "/readyz").await;
    assert_eq!(unready.status, StatusCode::SERVICE_UNAVAILABLE);
    let why: Value = serde_json::from_slice(&unready.body).unwrap();
    assert_eq!(why["not_ready"], json!([{ "what": "database", "why": "cannot be used" }]));
    assert_eq!(running.ask(false, Method::GET, "/healthz").await.status, StatusCode::OK);
    let metrics = running.ask(true, Method::GET, "/metrics").await;
    assert!(String::from_utf8(metrics.body).unwrap().contains("\nevergreen_auth_ready 0\n"));
}

#[tokio::test]
async fn while_calls_end_it_says_that_it_is_not_ready() {
    let running = Running::start().await;
    // The one place to hash is taken, so that a login waits.
    let (begun, has_begun) = oneshot::channel();
    let (release, released) = std::sync::mpsc::channel();
    let app = Arc::clone(&running.app);
    let hash = tokio::spawn(async move { app.passwords.hold(begun, released).await });
    has_begun.await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let mut client = AuthServiceClient::new(endpoint.connect().await.unwrap());
    let request = LoginRequest {
        username: "ada".into(),
        password: "whatever".into(),
        ..LoginRequest::default()
    };
    let login = tokio::spawn(async move { client.login(request).await });
    let in_flight = "rpcs_in_flight{method=\"evergreen.auth.v1.AuthService/Login\"} 1";
    loop {
        let metrics = running.ask(false, Method::GET, "/metrics").await;
        if String::from_utf8(metrics.body).unwrap().contains(in_flight) {
            break;
        }
    }
    running.stop.send(()).unwrap();
    let unready = loop {
        let answer = ask(running.operations, false, Method::GET, "/readyz").await;
        if answer.status != StatusCode::OK {
            break answer;
        }
    };
    let why: Value = serde_json::from_slice(&unready.body).unwrap();
    assert_eq!(why["not_ready"], json!([{ "what": "server", "why": "drains" }]));
    drop(release);
    let refused = login.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    hash.await.unwrap();
    timeout(PATIENCE, running.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn nothing_else_is_answered() {
    let running = Running::start().await;
    for http2 in [false, true] {
        for path in ["/", "/.well-known", "/.well-known/jwks.json/", "/.well-known/../etc/passwd"] {
            assert_eq!(running.ask(http2, Method::GET, path).await.status, StatusCode::NOT_FOUND);
        }
        let rpc = "/evergreen.auth.v1.AuthService/GetJwks";
        assert_eq!(running.ask(http2, Method::POST, rpc).await.status, StatusCode::NOT_FOUND);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
            let answer = running.ask(http2, method, PATH).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.headers[ALLOW], "GET,HEAD");
            assert_eq!(answer.body, b"");
        }
        let head = running.ask(http2, Method::HEAD, PATH).await;
        assert_eq!((head.status, head.body.as_slice()), (StatusCode::OK, b"".as_slice()));
        assert_eq!(head.headers[CONTENT_TYPE], "application/jwk-set+json");
    }
}

#[tokio::test]
async fn no_deadline_of_grpc_empties_an_answer_that_may_be_kept() {
    let running = Running::start().await;
    // The keys are read again first, which takes longer than that.
    running.clock.advance(Duration::from_secs(60));
    let head = format!("GET {PATH} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n");
    let request = format!("{head}grpc-timeout: 1n\r\n\r\n");
    let answer = String::from_utf8(running.send(request.as_bytes(), false).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"kid\""), "{answer}");
}

#[tokio::test]
async fn malformed_requests_harm_nobody() {
    let running = Running::start().await;
    let long = format!("GET {PATH} HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let cases: [(&[u8], &str); 8] = [
        (b"", ""),
        (b"\r\n\r\n", ""),
        (b"GET /.well-known/jw", ""),
        (b"GET\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /.well-known/jwks.json HTTP/9.9\r\n\r\n", "HTTP/1.1 400"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", "HTTP/1.1 400"),
        (b"OPTIONS * HTTP/1.1\r\nconnection: close\r\n\r\n", "HTTP/1.1 404"),
        (long.as_bytes(), "HTTP/1.1 431"),
    ];
    for (sent, expected) in cases {
        let answer = running.send(sent, expected.is_empty()).await;
        let answer = String::from_utf8_lossy(&answer);
        let as_expected = answer.starts_with(expected) && expected.is_empty() == answer.is_empty();
        assert!(as_expected, "{:?}: {answer:?}", String::from_utf8_lossy(sent));
    }
    // A frame that cannot be, after a preface of HTTP/2: GOAWAY (RFC 9113 section 6.8), and no more.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let answer = running.send(&[preface, &[0xff; 9]].concat(), false).await;
    let frame = |kind| answer.windows(9).any(|head| head[3..9] == [kind, 0, 0, 0, 0, 0]);
    assert!(frame(7) && !frame(1), "{answer:?}");
    running.compare(false).await;
    running.compare(true).await;
}

#[tokio::test]
async fn it_stops_with_the_server() {
    let running = Running::start().await;
    let mut idle = TcpStream::connect(running.operations).await.unwrap();
    let request = format!("HEAD {PATH} HTTP/1.1\r\nhost: here\r\n\r\n");
    idle.write_all(request.as_bytes()).await.unwrap();
    let first = idle.read_u8().await.unwrap();
    running.stop.send(()).unwrap();
    timeout(PATIENCE, running.task).await.unwrap().unwrap().unwrap();
    let mut rest = Vec::from([first]);
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 200") && rest.ends_with(b"\r\n\r\n"));
    for address in [running.address, running.operations] {
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
