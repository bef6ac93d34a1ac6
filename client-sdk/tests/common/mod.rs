//! What the layer's tests share: a scripted session over a scripted server.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use client_sdk::{
    AuthenticationError, Session, SessionBuilder,
    testing::{ScriptedRefresher, pair},
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, StreamBody};
use tokio::task::JoinHandle;
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Service, ServiceExt as _};

/// A session that holds `access-0`/`refresh-0`.
pub async fn signed_in(
    refresher: &ScriptedRefresher,
    with: impl FnOnce(SessionBuilder) -> SessionBuilder,
) -> Session {
    let session = with(Session::custom(refresher.clone())).connect().await.unwrap();
    session.set_tokens(pair(0)).await.unwrap();
    session
}

/// A refresh that goes on beside the test.
pub fn refreshing(session: &Session) -> JoinHandle<Result<(), AuthenticationError>> {
    let session = session.clone();
    tokio::spawn(async move { session.refresh().await })
}

pub fn token_of(session: &Session) -> String {
    use secrecy::ExposeSecret as _;
    session.access_token().expect("signed in").expose_secret().to_owned()
}

/// What a server saw of one call.
#[derive(Clone, Debug)]
pub struct Sent {
    pub token: String,
    pub head: http::request::Parts,
    pub body: Bytes,
}

type Answer = dyn Fn(&Sent) -> Response<Body> + Send + Sync;

/// A server that reads the whole request and answers as `answer` says.
#[derive(Clone)]
pub struct Server {
    pub answer: Arc<Answer>,
    pub sent: Arc<Mutex<Vec<Sent>>>,
    pub latency: Duration,
}

impl Server {
    pub fn new(answer: impl Fn(&Sent) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), sent: Arc::default(), latency: Duration::ZERO }
    }

    /// Takes every token but `bad`, which it says has expired.
    pub fn refusing(bad: &'static str) -> Self {
        Self::new(move |sent| if sent.token == bad { expired() } else { ok() })
    }

    pub fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    pub fn tokens(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().map(|sent| sent.token.clone()).collect()
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
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            let token = head.headers.get("authorization").map_or("", |v| v.to_str().unwrap());
            let token = token.trim_start_matches("Bearer ").to_owned();
            let sent = Sent { token, head, body };
            server.sent.lock().unwrap().push(sent.clone());
            if !server.latency.is_zero() {
                tokio::time::sleep(server.latency).await;
            }
            Ok((server.answer)(&sent))
        })
    }
}

pub fn request(path: &str, body: Body) -> Request<Body> {
    Request::builder().method("POST").uri(path).body(body).unwrap()
}

pub async fn call(session: &Session, server: &Server) -> Status {
    send(session, server, request("/p.S/M", Body::empty())).await
}

pub async fn send(session: &Session, server: &Server, request: Request<Body>) -> Status {
    let service = tower::ServiceBuilder::new().layer(session.layer()).service(server.clone());
    status_of(service.oneshot(request).await.unwrap()).await
}

/// The status of a response, from its head or from its trailers.
pub async fn status_of(response: Response<Body>) -> Status {
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let body = response.into_body().collect().await.unwrap();
    Status::from_header_map(body.trailers().expect("gRPC ends in trailers")).unwrap()
}

pub fn ok() -> Response<Body> {
    Status::new(Code::Ok, "").into_http()
}

pub fn expired() -> Response<Body> {
    refusal("ACCESS_TOKEN_EXPIRED").into_http()
}

pub fn refusal(reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "evergreen", HashMap::new());
    Status::with_error_details(Code::Unauthenticated, "refused", details)
}

/// A response of `frames` under a head without a status.
pub fn framed(frames: Vec<http_body::Frame<Bytes>>) -> Response<Body> {
    let frames = frames.into_iter().map(Ok::<_, Status>);
    Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames))))
}

pub fn trailers(status: &Status) -> http_body::Frame<Bytes> {
    let mut headers = http::HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    http_body::Frame::trailers(headers)
}

pub fn data(bytes: &'static [u8]) -> http_body::Frame<Bytes> {
    http_body::Frame::data(Bytes::from_static(bytes))
}

pub fn body_of(chunks: &'static [&'static [u8]]) -> Body {
    let frames = chunks.iter().map(|chunk| Ok::<_, Status>(data(chunk)));
    Body::new(StreamBody::new(tokio_stream::iter(frames)))
}

/// Lets everything that can go on, go on.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
