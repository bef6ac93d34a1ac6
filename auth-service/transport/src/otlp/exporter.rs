//! From ended RPCs to a collector.

use std::{collections::HashSet, num::NonZeroUsize, sync::Arc, time::Duration};

use token::clock::Clock;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::message::{
    self, ERROR, Export, Exported, KeyValue, Resource, ResourceSpans, SERVER, ScopeSpans, Span,
};
use crate::{
    methods::methods,
    metrics::{Counter, Metrics},
    observe::{Ended, Observer},
};

/// Where to export spans to, and which.
#[derive(Clone, Debug)]
pub struct Exporting {
    /// The collector.
    pub collector: Endpoint,
    /// What the collector is told of who exports.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Of so many traces one is exported: the same ones by every service.
    pub one_in: NonZeroUsize,
}

/// Exports the RPCs that it hears of, as spans of their traces. Clones share a queue.
#[derive(Clone, Debug)]
pub struct Exporter {
    queue: mpsc::Sender<Entry>,
    /// Whoever makes up paths makes up no names: a call may be refused before anything looks for its
    /// method.
    methods: Arc<HashSet<String>>,
    clock: Arc<dyn Clock>,
    one_in: u64,
    queue_full: Counter,
}

#[derive(Debug)]
enum Entry {
    Span(Span),
    /// All that came before has been sent, or could not be.
    Flush(oneshot::Sender<()>),
}

impl Exporter {
    /// Starts to export, for a server of these services of the contract (their full names), with health
    /// and reflection beside them. The collector need not be there yet.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(
        exporting: &Exporting,
        services: &[&str],
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
    ) -> Self {
        let help = "Spans that no collector was given, by cause";
        let [not_sent, queue_full] =
            metrics.counters("spans_lost_total", help, "cause", ["not_sent", "queue_full"]);
        let (queue, entries) = mpsc::channel(QUEUE);
        let Exporting { collector, service, version, one_in } = exporting;
        let attributes = vec![
            KeyValue::text("service.name", *service),
            KeyValue::text("service.version", *version),
        ];
        let sender = Sender {
            channel: collector.connect_lazy(),
            resource: Resource { attributes },
            not_sent,
            fails: false,
        };
        tokio::spawn(send(sender, entries));
        let methods = Arc::new(methods(services).into_iter().map(|(name, _)| name).collect());
        Self { queue, methods, clock, one_in: one_in.get() as u64, queue_full }
    }

    /// Resolves when all that was heard of before has been sent, or could not be in a few seconds.
    pub async fn flush(&self) {
        let (done, sent) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Entry::Flush(done)).await.is_ok() {
                // A task that is gone has nothing left to send.
                let _ = sent.await;
            }
        };
        let _ = timeout(PATIENCE, flushed).await;
    }

    /// What a method of the contract is called; none if it is none.
    fn method<'a>(&self, rpc: &Ended<'a>) -> Option<&'a str> {
        let name = rpc.method.trim_start_matches('/');
        self.methods.contains(name).then_some(name)
    }
}

impl Observer for Exporter {
    fn ended(&self, rpc: &Ended<'_>) {
        let Some(context) = rpc.span.filter(|span| span.is_sampled()) else { return };
        let trace_id = context.trace_id().to_bytes();
        // By its lower half, which every maker of ids draws at random.
        let (_, drawn) = trace_id.split_at(8);
        let drawn = drawn.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if drawn % self.one_in != 0 {
            return;
        }
        let now = u64::try_from(self.clock.now().unix_millis()).unwrap_or_default() * 1_000_000;
        let elapsed = u64::try_from(rpc.elapsed.as_nanos()).unwrap_or(u64::MAX);
        let method = self.method(rpc);
        let span = Span {
            trace_id: trace_id.to_vec(),
            span_id: context.span_id().to_bytes().to_vec(),
            parent_span_id: rpc.parent.map(|id| id.to_bytes().to_vec()).unwrap_or_default(),
            name: method.unwrap_or("unknown").to_owned(),
            kind: SERVER,
            start_time_unix_nano: now.saturating_sub(elapsed),
            end_time_unix_nano: now,
            attributes: attributes(rpc, method),
            status: blames_the_server(rpc.code).then_some(message::Status { code: ERROR }),
        };
        if self.queue.try_send(Entry::Span(span)).is_err() {
            self.queue_full.inc();
        }
    }
}

/// By OpenTelemetry's conventions for RPCs, and what is Evergreen's own.
fn attributes(rpc: &Ended<'_>, method: Option<&str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::text("rpc.system", "grpc"),
        KeyValue::number("rpc.grpc.status_code", rpc.code as i64),
    ];
    if let Some((service, method)) = method.and_then(|method| method.split_once('/')) {
        attributes.push(KeyValue::text("rpc.service", service));
        attributes.push(KeyValue::text("rpc.method", method));
    }
    attributes.extend(rpc.reason.map(|reason| KeyValue::text("evergreen.reason", reason)));
    attributes.extend(rpc.account.map(|account| KeyValue::text("enduser.id", account)));
    attributes
}

/// Whether a server's span of this code is an error by the same conventions.
fn blames_the_server(code: Code) -> bool {
    matches!(
        code,
        Code::DataLoss
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::Unimplemented
            | Code::Unknown
    )
}

/// Sends to one collector.
struct Sender {
    channel: Channel,
    resource: Resource,
    not_sent: Counter,
    /// Whether the last attempt failed: one complaint is enough.
    fails: bool,
}

/// Sends what comes, some of it at a time, until nobody is left to queue more.
async fn send(mut sender: Sender, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::new();
    while entries.recv_many(&mut batch, BATCH).await > 0 {
        let until = Instant::now() + DELAY;
        while batch.len() < BATCH && !batch.iter().any(|entry| matches!(entry, Entry::Flush(_))) {
            let room = BATCH - batch.len();
            match timeout_at(until, entries.recv_many(&mut batch, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let (mut spans, mut flushed) = (Vec::new(), Vec::new());
        for entry in batch.drain(..) {
            match entry {
                Entry::Span(span) => spans.push(span),
                Entry::Flush(done) => flushed.push(done),
            }
        }
        if !spans.is_empty() {
            sender.send(spans).await;
        }
        for done in flushed {
            let _ = done.send(());
        }
    }
}

impl Sender {
    async fn send(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![ScopeSpans { spans }],
        };
        let sent = timeout(PATIENCE, export(self.channel.clone(), spans)).await;
        match sent.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time"))) {
            Ok(()) => self.fails = false,
            Err(status) => {
                self.not_sent.inc_by(count);
                if !std::mem::replace(&mut self.fails, true) {
                    let (code, message) = (status.code(), status.message());
                    tracing::warn!(?code, message, "spans could not be sent to the collector");
                }
            }
        }
    }
}

async fn export(channel: Channel, spans: ResourceSpans) -> Result<(), Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = http::uri::PathAndQuery::from_static(PATH);
    let request = Request::new(Export { resource_spans: vec![spans] });
    let codec: ProstCodec<Export, Exported> = ProstCodec::default();
    client.unary(request, path, codec).await.map(|_| ())
}

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Spans that wait to be sent.
const QUEUE: usize = 4096;
/// Spans that are sent at a time.
const BATCH: usize = 512;
/// How long spans wait for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
