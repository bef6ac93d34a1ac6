//! A collector that keeps what it is given.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
};

use http::{Request as HttpRequest, Response as HttpResponse};
use token::clock::{ManualClock, Timestamp};
use tokio::net::{TcpListener, TcpSocket};
use tonic::{Response, body::Body, server::NamedService, service::Routes, transport::Server};
use tower_service::Service;
use trace_context::{TraceContext, TraceIds};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const REFRESH: &str = "/evergreen.auth.v1.AuthService/Refresh";

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Export>>>);

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<HttpRequest<Body>> for Collector {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), PATH);
        let kept = Arc::clone(&self.0);
        let answer = tower::service_fn(move |request: Request<Export>| {
            kept.lock().unwrap().push(request.into_inner());
            std::future::ready(Ok(Response::new(Exported {})))
        });
        let codec: ProstCodec<Exported, Export> = ProstCodec::default();
        Box::pin(async move { Ok(tonic::server::Grpc::new(codec).unary(answer, request).await) })
    }
}

impl Collector {
    /// Where it listens.
    async fn start(&self) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = Server::builder().add_routes(Routes::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        Endpoint::from_shared(format!("http://{address}")).unwrap()
    }

    fn spans(&self) -> Vec<Span> {
        let kept = self.0.lock().unwrap();
        let resources = kept.iter().flat_map(|export| &export.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

fn exporter(collector: Endpoint, one_in: usize) -> (Exporter, Metrics) {
    let metrics = Metrics::new("x", "1", NOW);
    let one_in = NonZeroUsize::new(one_in).unwrap();
    let exporting = Exporting { collector, service: "evergreen-test", version: "1", one_in };
    let services = ["evergreen.auth.v1.AuthService"];
    (Exporter::start(&exporting, &services, Arc::new(ManualClock::at(NOW)), &metrics), metrics)
}

fn ended(code: Code, span: TraceContext) -> Ended<'static> {
    Ended { span: Some(span), ..Ended::new(REFRESH, code, Duration::from_millis(250)) }
}

#[tokio::test]
async fn an_rpc_becomes_a_span_of_its_trace() {
    let collector = Collector::default();
    let (exporter, _) = exporter(collector.start().await, 1);
    let ids = TraceIds::new([7; 16]);
    let parent = ids.root();
    let span = ids.child_of(parent);
    exporter.ended(&Ended {
        parent: Some(parent.span_id()),
        reason: Some("SESSION_REVOKED"),
        account: Some("ada"),
        ..ended(Code::Unauthenticated, span)
    });
    exporter.ended(&ended(Code::Internal, span));
    // Whoever began the trace does not record it.
    let unsampled = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    exporter.ended(&ended(Code::Ok, TraceContext::parse(unsampled).unwrap()));
    exporter.flush().await;
    let [refused, failed] = collector.spans().try_into().unwrap();
    assert_eq!(refused.trace_id, parent.trace_id().to_bytes());
    assert_eq!(refused.span_id, span.span_id().to_bytes());
    assert_eq!(refused.parent_span_id, parent.span_id().to_bytes());
    assert_eq!(refused.name, REFRESH[1..]);
    assert_eq!(refused.end_time_unix_nano, 1_800_000_000_000_000_000);
    assert_eq!(refused.end_time_unix_nano - refused.start_time_unix_nano, 250_000_000);
    assert!(refused.attributes.contains(&KeyValue::number("rpc.grpc.status_code", 16)));
    assert!(refused.attributes.contains(&KeyValue::text("evergreen.reason", "SESSION_REVOKED")));
    assert!(refused.attributes.contains(&KeyValue::text("enduser.id", "ada")));
    assert_eq!(refused.status, None, "the server has done its work");
    assert_eq!(failed.status, Some(message::Status { code: ERROR }));
    let kept = collector.0.lock().unwrap();
    let resource = kept[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(resource.attributes[0], KeyValue::text("service.name", "evergreen-test"));
}

/// A guard refuses made-up methods as it does others, and a method may answer that it is not there.
#[tokio::test]
async fn a_method_has_its_name_and_a_made_up_one_has_none_whatever_is_answered() {
    let collector = Collector::default();
    let (exporter, _) = exporter(collector.start().await, 1);
    let span = TraceIds::new([7; 16]).root();
    let made_up = "/evergreen.auth.v1.AuthService/MadeUp";
    for method in [REFRESH, "/grpc.health.v1.Health/Watch", made_up, "/made.up/Method", "/"] {
        for code in [Code::Ok, Code::Unauthenticated, Code::Unimplemented] {
            exporter.ended(&Ended { method, ..ended(code, span) });
        }
    }
    exporter.flush().await;
    let named = collector.spans().into_iter().map(|span| {
        let has_method = span.attributes.iter().any(|attribute| attribute.key == "rpc.method");
        (span.name, has_method)
    });
    let expected = [
        (&REFRESH[1..], true),
        ("grpc.health.v1.Health/Watch", true),
        ("unknown", false),
        ("unknown", false),
        ("unknown", false),
    ];
    let expected = expected.iter().flat_map(|(name, has)| vec![((*name).to_owned(), *has); 3]);
    assert_eq!(named.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn the_same_traces_are_exported_by_every_service() {
    let (one, other) = (Collector::default(), Collector::default());
    let ids = TraceIds::new([7; 16]);
    let roots: Vec<_> = (0..1_000).map(|_| ids.root()).collect();
    let mut exported = Vec::new();
    for collector in [one, other] {
        let (exporter, _) = exporter(collector.start().await, 10);
        for root in &roots {
            exporter.ended(&ended(Code::Ok, *root));
        }
        exporter.flush().await;
        let spans = collector.spans().into_iter();
        exported.push(spans.map(|span| span.trace_id).collect::<Vec<_>>());
    }
    assert_eq!(exported[0], exported[1]);
    assert!((50..200).contains(&exported[0].len()), "{}", exported[0].len());
}

#[tokio::test]
async fn what_no_collector_takes_is_lost_and_counted_and_holds_nobody_up() {
    // Bound, so that nobody else listens there, and not listening.
    let held = TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let nobody = format!("http://{}", held.local_addr().unwrap());
    let (exporter, metrics) = exporter(Endpoint::from_shared(nobody).unwrap(), 1);
    let ids = TraceIds::new([7; 16]);
    // The task that sends has no chance to run meanwhile.
    for _ in 0..QUEUE + 10 {
        exporter.ended(&ended(Code::Ok, ids.root()));
    }
    exporter.flush().await;
    let text = metrics.render();
    assert!(text.contains("x_spans_lost_total{cause=\"queue_full\"} 10\n"), "{text}");
    assert!(
        text.contains(&format!("x_spans_lost_total{{cause=\"not_sent\"}} {QUEUE}\n")),
        "{text}"
    );
}
