//! What a trace shows: which refresh a call waited for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use client_sdk::testing::{ScriptedRefresher, Step};
use common::{Server, call, settle, signed_in};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// Keeps the spans, and what follows from what.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// Name and flight of each span.
    spans: HashMap<Id, (&'static str, Option<u64>)>,
    follows: Vec<(Id, Id)>,
    parents: Vec<(&'static str, bool)>,
}

#[derive(Default)]
struct Flight(Option<u64>);

impl Visit for Flight {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "flight" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Trace {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut flight = Flight::default();
        attributes.record(&mut flight);
        let name = attributes.metadata().name();
        let mut seen = self.0.lock().unwrap();
        seen.spans.insert(id.clone(), (name, flight.0));
        seen.parents.push((name, context.span(id).unwrap().parent().is_some()));
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, _: Context<'_, S>) {
        self.0.lock().unwrap().follows.push((span.clone(), follows.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn every_waiter_is_tied_to_its_flight_and_the_flight_is_nobodys_child() {
    let trace = Trace::default();
    let subscriber = tracing_subscriber::registry().with(trace.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    let calls = (0..3).map(|_| {
        let (session, server) = (session.clone(), server.clone());
        tokio::spawn(async move { call(&session, &server).await })
    });
    let calls: Vec<_> = calls.collect();
    refresher.reached(1).await;
    settle().await;
    refresher.release();
    for call in calls {
        call.await.unwrap();
    }

    let seen = trace.0.lock().unwrap();
    let of = |name| seen.spans.values().filter(move |span| span.0 == name);
    assert_eq!(of("refresh").collect::<Vec<_>>(), [&("refresh", Some(1))]);
    assert_eq!(of("await_refresh").filter(|span| span.1 == Some(1)).count(), 3);
    let ties = seen.follows.iter().filter(|(waiter, flight)| {
        seen.spans[waiter].0 == "await_refresh" && seen.spans[flight].0 == "refresh"
    });
    assert_eq!(ties.count(), 3);
    assert!(!seen.parents.contains(&("refresh", true)));
}
