//! Tells an observer of every RPC: that it has begun, and once how it ended.
//!
//! An RPC is a span of the trace that its request names, or of a new one. What is logged while it is
//! worked on says which trace that is, and what is asked of others meanwhile names the span.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;
use trace_context::{SpanId, TraceContext, TraceIds};

use crate::status::{code_name, reason_of};

/// Hears of every RPC. Each is told of from the task that serves it: be quick, and never block.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Called once an RPC, when its head has come: `path` is `/package.Service/Method`, or whatever
    /// else a client has made up.
    fn began(&self, path: &str) {
        let _ = path;
    }

    /// Called once an RPC, when it has ended.
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
    /// The evergreen reason of a failure.
    pub reason: Option<&'a str>,
    /// From the arrival of its head to the departure of its trailers.
    pub elapsed: Duration,
    /// Whose account it was about, if the handler has noted it.
    pub account: Option<&'a str>,
    /// The span that it was.
    pub span: Option<TraceContext>,
    /// The span that its request came from.
    pub parent: Option<SpanId>,
}

impl<'a> Ended<'a> {
    /// One of which nothing else is known.
    #[must_use]
    pub const fn new(method: &'a str, code: Code, elapsed: Duration) -> Self {
        let (reason, account, span, parent) = (None, None, None, None);
        Self { method, code, reason, elapsed, account, span, parent }
    }
}

/// What a handler says of its call, for those who observe it. In the extensions of each request.
///
/// ```
/// use transport::observe::Notes;
///
/// let request = tonic::Request::new(());
/// Notes::of(&request).account("0199-ada");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<OnceLock<String>>);

impl Notes {
    /// The request's; or some that nobody reads, in a test that calls a handler directly.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Whose account it is about. What is said first stands.
    pub fn account(&self, id: impl Into<String>) {
        self.0.get_or_init(|| id.into());
    }
}

/// Logs every RPC in a line: at INFO; at WARN if the server is to blame; at DEBUG if it only looks at
/// the server, as probes do. The target is [`LOG_TARGET`].
#[derive(Clone, Copy, Debug, Default)]
pub struct LogObserver;

/// What [`LogObserver`] logs as: `RUST_LOG=info,evergreen::rpc=warn` keeps the rest.
pub const LOG_TARGET: &str = "evergreen::rpc";

impl Observer for LogObserver {
    fn ended(&self, rpc: &Ended<'_>) {
        let elapsed_us = u64::try_from(rpc.elapsed.as_micros()).unwrap_or(u64::MAX);
        macro_rules! line {
            ($level:ident) => {
                tracing::event!(
                    target: LOG_TARGET,
                    tracing::Level::$level,
                    rpc.method = rpc.method,
                    rpc.code = code_name(rpc.code),
                    rpc.reason = rpc.reason,
                    rpc.elapsed_us = elapsed_us,
                    account = rpc.account,
                    trace_id = rpc.span.map(|span| tracing::field::display(span.trace_id())),
                    span_id = rpc.span.map(|span| tracing::field::display(span.span_id())),
                    parent_id = rpc.parent.map(tracing::field::display),
                    "rpc ended"
                )
            };
        }
        match rpc.code {
            Code::DataLoss | Code::Internal | Code::Unknown => line!(WARN),
            _ if rpc.method.starts_with("/grpc.") => line!(DEBUG),
            _ => line!(INFO),
        }
    }
}

/// Both hear.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn began(&self, path: &str) {
        self.0.began(path);
        self.1.began(path);
    }

    fn ended(&self, rpc: &Ended<'_>) {
        self.0.ended(rpc);
        self.1.ended(rpc);
    }
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn began(&self, path: &str) {
        (**self).began(path);
    }

    fn ended(&self, rpc: &Ended<'_>) {
        (**self).ended(rpc);
    }
}

/// Applies [`Observed`].
#[derive(Clone, Debug)]
pub struct ObserveLayer {
    observer: Arc<dyn Observer>,
    ids: Arc<TraceIds>,
}

impl ObserveLayer {
    /// Tells `observer`. `ids` makes the ids of spans.
    #[must_use]
    pub fn new(observer: Arc<dyn Observer>, ids: Arc<TraceIds>) -> Self {
        Self { observer, ids }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observed { inner, layer: self.clone() }
    }
}

/// Observes the RPCs that `S` serves.
#[derive(Clone, Debug)]
pub struct Observed<S> {
    inner: S,
    layer: ObserveLayer,
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

    fn call(&mut self, mut request: Request<Req>) -> Self::Future {
        let ObserveLayer { observer, ids } = &self.layer;
        observer.began(request.uri().path());
        let parent = TraceContext::of(request.headers());
        let notes = Notes::default();
        let report = Report {
            observer: Arc::clone(observer),
            method: request.uri().path().to_owned(),
            started: Instant::now(),
            code: None,
            reason: None,
            notes: notes.clone(),
            span: parent.map_or_else(|| ids.root(), |parent| ids.child_of(parent)),
            parent: parent.map(TraceContext::span_id),
        };
        request.extensions_mut().insert(notes);
        let inner = report.span.enter(|| self.inner.call(request));
        ResponseFuture { inner, report: Some(report) }
    }
}

/// Reports when it is dropped, so that a call which is cut short is reported too.
#[derive(Debug)]
struct Report {
    observer: Arc<dyn Observer>,
    method: String,
    started: Instant,
    code: Option<Code>,
    reason: Option<String>,
    notes: Notes,
    span: TraceContext,
    parent: Option<SpanId>,
}

impl Report {
    fn saw(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get(Status::GRPC_STATUS) {
            let code = Code::from_bytes(status.as_bytes());
            self.code = Some(code);
            if code != Code::Ok {
                let status = Status::from_header_map(headers);
                self.reason = status.as_ref().and_then(reason_of);
            }
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let rpc = Ended {
            method: &self.method,
            code: self.code.unwrap_or(Code::Cancelled),
            reason: self.reason.as_deref(),
            elapsed: self.started.elapsed(),
            account: self.notes.0.get().map(String::as_str),
            span: Some(self.span),
            parent: self.parent,
        };
        self.observer.ended(&rpc);
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
        let span = this.report.as_ref().expect(ONCE).span;
        let response = ready!(span.enter(|| this.inner.poll(cx)));
        let mut report = this.report.take().expect(ONCE);
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
        let span = this.report.span;
        let frame = ready!(span.enter(|| this.inner.poll_frame(cx)));
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

const ONCE: &str = "a future is not polled after it has resolved";

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use http_body_util::{BodyExt as _, Empty};
    use tonic::body::Body as TonicBody;
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::status::unauthenticated;

    /// What was told of each call, and how many have begun.
    #[derive(Debug, Default)]
    struct Recorder {
        begun: AtomicUsize,
        ended: Mutex<Vec<Told>>,
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Told {
        code: Code,
        reason: Option<String>,
        account: Option<String>,
        span: TraceContext,
        parent: Option<SpanId>,
    }

    impl Observer for Recorder {
        fn began(&self, path: &str) {
            assert_eq!(path, "/pkg.Service/Call");
            self.begun.fetch_add(1, Ordering::Relaxed);
        }

        fn ended(&self, rpc: &Ended<'_>) {
            assert_eq!(rpc.method, "/pkg.Service/Call");
            self.ended.lock().unwrap().push(Told {
                code: rpc.code,
                reason: rpc.reason.map(str::to_owned),
                account: rpc.account.map(str::to_owned),
                span: rpc.span.unwrap(),
                parent: rpc.parent,
            });
        }
    }

    /// Observes a call that is answered so, with this `traceparent`.
    async fn observe(
        response: Response<TonicBody>,
        read: bool,
        parent: Option<&'static str>,
    ) -> Told {
        let recorder = Arc::new(Recorder::default());
        let mut response = Some(response);
        let work = move |request: Request<TonicBody>| {
            let response = response.take().unwrap();
            async move {
                request.extensions().get::<Notes>().unwrap().account("ada");
                assert!(TraceContext::current().is_some());
                Ok::<_, Infallible>(response)
            }
        };
        let ids = Arc::new(TraceIds::new([7; 16]));
        let service = ObserveLayer::new(recorder.clone(), ids).layer(service_fn(work));
        let request = Request::builder().uri("/pkg.Service/Call");
        let request = match parent {
            Some(parent) => request.header("traceparent", parent),
            None => request,
        };
        let response = service.oneshot(request.body(TonicBody::empty()).unwrap()).await.unwrap();
        assert_eq!(recorder.begun.load(Ordering::Relaxed), 1);
        assert!(recorder.ended.lock().unwrap().is_empty(), "reported before it ended");
        if read {
            response.into_body().collect().await.unwrap();
        } else {
            drop(response);
        }
        assert_eq!(TraceContext::current(), None);
        let [told] = recorder.ended.lock().unwrap().clone().try_into().unwrap();
        told
    }

    fn ok() -> Response<TonicBody> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let body = Empty::new().with_trailers(std::future::ready(Some(Ok(trailers))));
        Response::new(TonicBody::new(body))
    }

    #[tokio::test]
    async fn an_rpc_is_reported_once_by_its_trailers_its_head_or_its_end() {
        assert_eq!(observe(ok(), true, None).await.code, Code::Ok);
        assert_eq!(observe(ok(), false, None).await.code, Code::Cancelled);
        let refused = unauthenticated("SESSION_REVOKED", "no").into_http();
        let told = observe(refused, true, None).await;
        assert_eq!(told.code, Code::Unauthenticated);
        assert_eq!(told.reason.as_deref(), Some("SESSION_REVOKED"));
        assert_eq!(told.account.as_deref(), Some("ada"));
    }

    #[tokio::test]
    async fn an_rpc_is_a_span_of_its_requests_trace_or_of_a_new_one() {
        let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = TraceContext::parse(sent.as_bytes()).unwrap();
        let told = observe(ok(), true, Some(sent)).await;
        assert_eq!(told.span.trace_id(), parent.trace_id());
        assert_ne!(told.span.span_id(), parent.span_id());
        assert_eq!(told.parent, Some(parent.span_id()));
        for sent in [None, Some("00-not-a-trace")] {
            let told = observe(ok(), true, sent).await;
            assert_ne!(told.span.trace_id(), parent.trace_id());
            assert_eq!(told.parent, None);
        }
    }
}
