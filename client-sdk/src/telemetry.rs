//! What is counted. Without the feature `metrics` nothing is.

use std::time::Duration;

use crate::{
    AuthenticationError,
    flight::{How, Outcome},
};

/// A flight ended after `lasted`.
pub(crate) fn landed(outcome: &Outcome, lasted: Duration) {
    recorder::count("evergreen_client_refreshes_total", Some(("outcome", label(outcome))));
    recorder::observe("evergreen_client_refresh_duration_seconds", lasted);
}

/// A caller joined a flight that was in the air.
pub(crate) fn joined() {
    recorder::count("evergreen_client_refresh_joiners_total", None);
}

/// A refusal came for a token that had been replaced already.
pub(crate) fn late_refusal_saved() {
    recorder::count("evergreen_client_late_refusals_total", None);
}

/// A refused call is sent again.
pub(crate) fn replayed() {
    recorder::count("evergreen_client_replays_total", None);
}

/// A refused call is not sent again.
pub(crate) fn not_replayed(reason: &'static str) {
    recorder::count("evergreen_client_replays_declined_total", Some(("reason", reason)));
}

/// An attempt is to be repeated after `delay`.
pub(crate) fn backing_off(delay: Duration) {
    recorder::observe("evergreen_client_refresh_backoff_seconds", delay);
}

/// A caller was turned away because a refresh had failed a moment ago.
pub(crate) fn failed_fast() {
    recorder::count("evergreen_client_refresh_failed_fast_total", None);
}

fn label(outcome: &Outcome) -> &'static str {
    use AuthenticationError as E;
    match outcome {
        Ok(landing) => match landing.how {
            How::Adopted => "adopted",
            How::Renewed => "renewed",
        },
        Err(E::Interrupted) => "interrupted",
        Err(E::Rejected { .. }) => "rejected",
        Err(E::SignedOut { .. }) => "signed_out",
        Err(E::Store { .. }) => "store_unavailable",
        Err(E::Unreachable { .. }) => "unreachable",
        Err(
            E::Configuration { .. }
            | E::CoolingDown { .. }
            | E::DeadlineExceeded
            | E::Refused { .. }
            | E::Service(_)
            | E::WindowSpent,
        ) => "failed",
    }
}

#[cfg(feature = "metrics")]
mod recorder {
    use std::time::Duration;

    type Label = (&'static str, &'static str);

    pub(super) fn count(name: &'static str, label: Option<Label>) {
        match label {
            None => metrics::counter!(name).increment(1),
            Some((key, value)) => metrics::counter!(name, key => value).increment(1),
        }
    }

    pub(super) fn observe(name: &'static str, value: Duration) {
        metrics::histogram!(name).record(value);
    }
}

#[cfg(not(feature = "metrics"))]
mod recorder {
    use std::time::Duration;

    pub(super) const fn count(_: &'static str, _: Option<(&'static str, &'static str)>) {}

    pub(super) const fn observe(_: &'static str, _: Duration) {}
}
