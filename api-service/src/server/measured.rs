//! What the guard has done, and what it goes by.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use client_sdk::guard::{Guard, Statistics};
use transport::metrics::Metrics;

/// Tells what `guard` has done, whenever it is asked for. It is looked at once each time, by the first
/// that is told: to count its hits is to take, one after another, all the locks that calls take.
pub(super) fn guard_metrics(metrics: &Metrics, guard: &Guard) {
    let last = Arc::new(Mutex::new(guard.statistics()));
    let guard = guard.clone();
    let look = {
        let last = Arc::clone(&last);
        move || {
            let seen = guard.statistics();
            let known = seen.known as f64;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            known
        }
    };
    let read = |read: fn(&Statistics) -> f64| {
        let last = Arc::clone(&last);
        move || read(&last.lock().unwrap_or_else(PoisonError::into_inner))
    };
    let help = "Good access tokens, by whether they were verified or known from before";
    let how = |how| [("how", how)];
    metrics.total("guard_tokens_total", help, &how("known"), look);
    metrics.total("guard_tokens_total", help, &how("verified"), read(|seen| seen.verified as f64));
    let help = "Fetches of AuthService's keys, by outcome";
    let outcome = |outcome| [("outcome", outcome)];
    metrics.total("guard_key_fetches_total", help, &outcome("fetched"), {
        read(|seen| seen.key_fetches as f64)
    });
    metrics.total("guard_key_fetches_total", help, &outcome("failed"), {
        read(|seen| seen.failed_key_fetches as f64)
    });
    let help = "How long ago the keys were fetched; 0 before any was needed";
    metrics.reading("guard_key_age_seconds", help, &[], read(|seen| seconds(seen.key_age)));
    let help = "For how long nothing was heard of revocations; 0 if they are not followed";
    metrics.reading("revocation_feed_silent_seconds", help, &[], {
        read(|seen| seconds(seen.silent_for))
    });
    let help = "Revocations that are known and whose tokens have not all run out";
    metrics.reading("revocations_known", help, &[], read(|seen| seen.revocations as f64));
}

fn seconds(time: Option<Duration>) -> f64 {
    time.unwrap_or_default().as_secs_f64()
}
