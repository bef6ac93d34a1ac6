//! Bounds the life of a request.
//!
//! A request lives as long as its `grpc-timeout` asks for, and never longer than the server's own
//! limit. The layer puts the [`Deadline`] into the request's extensions, so that a decision can
//! check it again at the moment it is made, and answers `DEADLINE_EXCEEDED` when it passes; tonic's
//! own timer would say `CANCELLED`, which callers read as their own doing.
//!
//! It covers the time to the response's head: a stream that has begun goes on.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use evergreen_proto::reason;
use http::{HeaderMap, Request, Response};
use token::clock::{Clock, Timestamp};
use tokio::time::Sleep;
use tonic::Code;
use tower_layer::Layer;
use tower_service::Service;

use crate::status::status;

/// When a request's life ends, on the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Timestamp);

impl Deadline {
    /// Whether it has passed.
    #[must_use]
    pub fn passed(self, now: Timestamp) -> bool {
        now >= self.0
    }
}

/// Applies [`Bounded`].
#[derive(Clone, Debug)]
pub struct DeadlineLayer {
    clock: Arc<dyn Clock>,
    life: Duration,
    uploads: &'static [&'static str],
}

impl DeadlineLayer {
    /// Requests live for at most `life`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, life: Duration) -> Self {
        Self { clock, life, uploads: &[] }
    }

    /// Except for requests to these paths, which are streams: they live for as long as their callers
    /// ask, a day at the most.
    #[must_use]
    pub fn uploads(mut self, paths: &'static [&'static str]) -> Self {
        self.uploads = paths;
        self
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Bounded { inner, layer: self.clone() }
    }
}

/// Bounds the life of each request to `S`.
#[derive(Clone, Debug)]
pub struct Bounded<S> {
    inner: S,
    layer: DeadlineLayer,
}

impl<S, Req, Res> Service<Request<Req>> for Bounded<S>
where
    S: Service<Request<Req>, Response = Response<Res>>,
    Res: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Req>) -> Self::Future {
        let uploads = self.layer.uploads.contains(&request.uri().path());
        let most = if uploads { UPLOAD } else { self.layer.life };
        let life = requested(request.headers()).map_or(most, |asked| asked.min(most));
        request.extensions_mut().insert(Deadline(self.layer.clock.now() + life));
        ResponseFuture {
            inner: self.inner.call(request),
            sleep: tokio::time::sleep(life.saturating_sub(AHEAD_OF_TONIC)),
        }
    }
}

pin_project_lite::pin_project! {
    /// Resolves to the response, or to `DEADLINE_EXCEEDED`.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        #[pin]
        sleep: Sleep,
    }
}

impl<F, Res, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Res>, E>>,
    Res: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(response) = this.inner.poll(cx) {
            return Poll::Ready(response);
        }
        this.sleep.poll(cx).map(|()| {
            Ok(status(
                Code::DeadlineExceeded,
                reason::DEADLINE_EXCEEDED,
                "the request's deadline passed before it was answered",
            )
            .into_http())
        })
    }
}

/// No upload takes longer.
const UPLOAD: Duration = Duration::from_secs(24 * 3_600);
/// tonic runs a timer of its own from the same header, outside of this layer; ours must fire first,
/// and timers are precise to a millisecond.
const AHEAD_OF_TONIC: Duration = Duration::from_millis(2);

/// The duration of a `grpc-timeout` header: up to eight digits and a unit (gRPC over HTTP/2). A
/// malformed one counts as absent, as tonic treats it.
fn requested(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use token::clock::ManualClock;
    use tonic::{Status, body::Body};
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn layer() -> DeadlineLayer {
        DeadlineLayer::new(Arc::new(ManualClock::at(NOW)), Duration::from_secs(10))
    }

    fn request(timeout: Option<&str>) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        if let Some(timeout) = timeout {
            request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        }
        request
    }

    async fn deadline(timeout: Option<&str>) -> Timestamp {
        let service = layer().layer(service_fn(async |request: Request<Body>| {
            let Deadline(at) = *request.extensions().get().unwrap();
            Ok::<_, Infallible>(Response::builder().extension(at).body(Body::empty()).unwrap())
        }));
        *service.oneshot(request(timeout)).await.unwrap().extensions().get().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_shorter_of_the_callers_and_the_servers_life_counts() {
        for (timeout, millis) in [
            (None, 10_000),
            (Some("3S"), 3_000),
            (Some("250m"), 250),
            (Some("1500000u"), 1_500),
            (Some("2H"), 10_000),
            (Some("99999999H"), 10_000),
            (Some("S"), 10_000),
            (Some("123456789S"), 10_000),
            (Some("-1S"), 10_000),
        ] {
            assert_eq!(deadline(timeout).await, NOW + Duration::from_millis(millis), "{timeout:?}");
        }
    }

    /// What streams to the server is answered when it has ended.
    #[tokio::test]
    async fn an_upload_lives_as_long_as_its_caller_asks_for() {
        for (timeout, seconds) in [(None, 24 * 3_600), (Some("60S"), 60), (Some("9H"), 9 * 3_600)] {
            let answer = service_fn(|request: Request<Body>| async move {
                let deadline: Deadline = *request.extensions().get().unwrap();
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(deadline);
                Ok::<_, Infallible>(response)
            });
            let service = layer().uploads(&["/an.Upload"]).layer(answer);
            let mut request = request(timeout);
            *request.uri_mut() = "/an.Upload".parse().unwrap();
            let deadline: Deadline =
                *service.oneshot(request).await.unwrap().extensions().get().unwrap();
            assert_eq!(deadline.0, NOW + Duration::from_secs(seconds), "{timeout:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_in_time_is_deadline_exceeded() {
        let service = layer().layer(service_fn(async |_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        }));
        let started = tokio::time::Instant::now();
        let response = service.oneshot(request(Some("3S"))).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(started.elapsed() < Duration::from_secs(3), "tonic's own timer must not win");
    }
}
