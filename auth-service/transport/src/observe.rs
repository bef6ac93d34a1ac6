//! Tells an observer of every RPC once: its method, how it ended, how long it took.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

/// Hears of every RPC when it has ended.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Called once an RPC, from the task that served it: be quick, and never block.
    fn ended(&self, rpc: &Ended<'_>);
}

/// An RPC that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// `/package.Service/Method`.
    pub method: &'a str,
    /// How it ended; [`Code::Cancelled`] if the caller went away first.
    pub code: Code,
    /// From the arrival of its head to the departure of its trailers.
    pub elapsed: Duration,
}

/// Logs every RPC at level DEBUG.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogObserver;

impl Observer for LogObserver {
    fn ended(&self, rpc: &Ended<'_>) {
        tracing::debug!(
            rpc.method = rpc.method,
            rpc.code = ?rpc.code,
            rpc.elapsed_us = u64::try_from(rpc.elapsed.as_micros()).unwrap_or(u64::MAX),
            "rpc ended"
        );
    }
}

/// Applies [`Observed`].
#[derive(Clone, Debug)]
pub struct ObserveLayer(Arc<dyn Observer>);

impl ObserveLayer {
    /// Tells `observer`.
    #[must_use]
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self(observer)
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observed { inner, observer: Arc::clone(&self.0) }
    }
}

/// Observes the RPCs that `S` serves.
#[derive(Clone, Debug)]
pub struct Observed<S> {
    inner: S,
    observer: Arc<dyn Observer>,
}

impl<S, Req, Res> Service<Request<Req>> for Observed<S>
where
    S: Service<Request<Req>, Response = Response<Res>>,
{
    type Response = Response<ObservedBody<Res>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        let report = Report {
            observer: Arc::clone(&self.observer),
            method: request.uri().path().to_owned(),
            started: Instant::now(),
            code: None,
        };
        ResponseFuture { inner: self.inner.call(request), report: Some(report) }
    }
}

/// Reports when it is dropped, so that a call which is cut short is reported too.
#[derive(Debug)]
struct Report {
    observer: Arc<dyn Observer>,
    method: String,
    started: Instant,
    code: Option<Code>,
}

impl Report {
    fn saw(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get(Status::GRPC_STATUS) {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.observer.ended(&Ended {
            method: &self.method,
            code: self.code.unwrap_or(Code::Cancelled),
            elapsed: self.started.elapsed(),
        });
    }
}

pin_project_lite::pin_project! {
    /// Resolves to the response with its body observed.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        report: Option<Report>,
    }
}

impl<F, Res, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Res>, E>>,
{
    type Output = Result<Response<ObservedBody<Res>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx));
        let mut report = this.report.take().expect("a future is not polled after it has resolved");
        Poll::Ready(match response {
            Ok(response) => {
                report.saw(response.headers());
                Ok(response.map(|inner| ObservedBody { inner, report }))
            }
            Err(error) => {
                report.code = Some(Code::Internal);
                Err(error)
            }
        })
    }
}

pin_project_lite::pin_project! {
    /// A response body whose trailers are looked at on their way out.
    #[derive(Debug)]
    pub struct ObservedBody<B> {
        #[pin]
        inner: B,
        report: Report,
    }
}

impl<B: Body> Body for ObservedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            this.report.saw(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Mutex};

    use http_body_util::{BodyExt as _, Empty};
    use tonic::body::Body as TonicBody;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<(String, Code)>>);

    impl Observer for Recorder {
        fn ended(&self, rpc: &Ended<'_>) {
            self.0.lock().unwrap().push((rpc.method.to_owned(), rpc.code));
        }
    }

    async fn observe(response: Response<TonicBody>, read: bool) -> Vec<(String, Code)> {
        let recorder = Arc::new(Recorder::default());
        let mut response = Some(response);
        let service =
            ObserveLayer::new(recorder.clone()).layer(service_fn(move |_: Request<TonicBody>| {
                std::future::ready(Ok::<_, Infallible>(response.take().unwrap()))
            }));
        let request = Request::builder().uri("/pkg.Service/Call").body(TonicBody::empty()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert!(recorder.0.lock().unwrap().is_empty(), "reported before it ended");
        if read {
            response.into_body().collect().await.unwrap();
        } else {
            drop(response);
        }
        recorder.0.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn an_rpc_is_reported_once_by_its_trailers_its_head_or_its_end() {
        let call = |code| vec![("/pkg.Service/Call".to_owned(), code)];
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let ok = || {
            let body = Empty::new().with_trailers(std::future::ready(Some(Ok(trailers.clone()))));
            Response::new(TonicBody::new(body))
        };
        assert_eq!(observe(ok(), true).await, call(Code::Ok));
        assert_eq!(observe(ok(), false).await, call(Code::Cancelled));
        let refused = Status::unauthenticated("no").into_http();
        assert_eq!(observe(refused, true).await, call(Code::Unauthenticated));
    }
}
