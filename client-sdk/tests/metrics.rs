//! What is counted, exactly.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client_sdk::{
    ReplayForeign,
    testing::{ScriptedRefresher, Step, unreachable_for},
};
use common::{Server, call, expired, ok, signed_in};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tonic::{Code, Status};

/// Keeps what is counted, by name and label.
#[derive(Default)]
struct Book {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Samples>>>,
}

#[derive(Default)]
struct Samples(Mutex<Vec<f64>>);

impl HistogramFn for Samples {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

impl Recorder for Book {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(self.counters.lock().unwrap().entry(name(key)).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let mut histograms = self.histograms.lock().unwrap();
        Histogram::from_arc(Arc::clone(histograms.entry(name(key)).or_default()))
    }
}

/// `name{key=value}`, without what every name begins with.
fn name(key: &Key) -> String {
    let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
    let name = key.name().strip_prefix("evergreen_client_").unwrap();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

impl Book {
    fn counted(&self) -> BTreeMap<String, u64> {
        let counters = self.counters.lock().unwrap();
        counters.iter().map(|(name, n)| (name.clone(), n.load(Ordering::Relaxed))).collect()
    }

    fn samples(&self, name: &str) -> Vec<f64> {
        self.histograms.lock().unwrap()[name].0.lock().unwrap().clone()
    }
}

/// Runs `work` on a paused clock, and gives what it counted.
fn counted(work: impl Future<Output = ()>) -> Book {
    let book = Book::default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    metrics::with_local_recorder(&book, || runtime.unwrap().block_on(work));
    book
}

fn counts<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.map(|(name, n)| (name.to_owned(), n)).into()
}

#[test]
fn three_refused_calls_are_one_flight_two_joiners_and_three_replays() {
    let book = counted(async {
        let refresher = ScriptedRefresher::new().then(Step::Hold);
        let session = signed_in(&refresher, |b| b).await;
        // All three are on the wire before the first is refused.
        let latency = Duration::from_millis(10);
        let server = Server { latency, ..Server::refusing("access-0") };
        let (session, server) = (&session, &server);
        let waiting = futures_util::future::join_all((0..3).map(|_| call(session, server)));
        let release = async {
            refresher.reached(1).await;
            common::settle().await;
            refresher.release();
        };
        let (statuses, ()) = futures_util::future::join(waiting, release).await;
        assert!(statuses.iter().all(|status| status.code() == Code::Ok));
    });
    let expected = [
        ("refresh_joiners_total", 2),
        ("refreshes_total{outcome=renewed}", 1),
        ("replays_total", 3),
    ];
    assert_eq!(book.counted(), counts(expected));
    assert_eq!(book.samples("refresh_duration_seconds").len(), 1);
}

#[test]
fn a_failure_is_counted_with_its_backoff_and_with_those_it_turns_away() {
    let book = counted(async {
        let again = Some(Duration::from_secs(3));
        let refresher = ScriptedRefresher::new()
            .then(Step::Answer(unreachable_for(again)))
            .then(Step::Answer(unreachable_for(Some(Duration::from_secs(60)))));
        let session = signed_in(&refresher, |b| b).await;
        let server = Server::refusing("access-0");
        for _ in 0..3 {
            assert_eq!(call(&session, &server).await.code(), Code::Unavailable);
        }
    });
    let expected = [("refresh_failed_fast_total", 2), ("refreshes_total{outcome=unreachable}", 1)];
    assert_eq!(book.counted(), counts(expected));
    // As long as was asked for, and half of the first step drawn.
    let waited = book.samples("refresh_backoff_seconds");
    assert!(matches!(waited[..], [waited] if (3.0..3.05).contains(&waited)), "{waited:?}");
}

#[test]
fn a_late_refusal_and_a_declined_replay_are_counted() {
    let book = counted(async {
        let refresher = ScriptedRefresher::new();
        let session = signed_in(&refresher, |b| b).await;
        // The token is replaced while the refusal of the old one is on its way.
        let other = session.clone();
        let server = Server::new(move |sent| {
            if sent.token == "access-0" {
                futures_util::FutureExt::now_or_never(
                    other.set_tokens(client_sdk::TokenPair::new("newer").session_id("s1")),
                );
                expired()
            } else {
                ok()
            }
        });
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
        let bare = Server::new(|_| Status::unauthenticated("a proxy").into_http());
        let session = signed_in(&refresher, |b| b.replay_foreign(ReplayForeign::IdempotentOnly));
        assert_eq!(call(&session.await, &bare).await.code(), Code::Unauthenticated);
        common::settle().await;
    });
    let expected = [
        ("late_refusals_total", 1),
        ("refreshes_total{outcome=renewed}", 1),
        ("replays_declined_total{reason=no_proof}", 1),
        ("replays_total", 1),
    ];
    assert_eq!(book.counted(), counts(expected));
}
