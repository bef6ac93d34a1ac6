//! What is counted of use cases.

use transport::metrics::{Counter, Metrics};

use crate::{
    app::{context::App, error::AppError},
    domain::session::RevokeReason,
};

/// Counters of what RPCs' codes do not tell. Whoever counts holds the counter.
#[derive(Debug)]
pub(crate) struct Meters {
    refreshes: [Counter; REFRESHES.len()],
    pub(super) logins: Logins,
    pub(super) service_logins: Logins,
    pub(super) limited: Limited,
    pub(super) revocations: Revocations,
    pub(super) lost_events: LostEvents,
}

/// Logins by what came of the proof.
#[derive(Debug)]
pub(super) struct Logins {
    pub(super) succeeded: Counter,
    pub(super) failed: Counter,
}

/// Refusals by the limit that was reached.
#[derive(Debug)]
pub(super) struct Limited {
    pub(super) locked_name: Counter,
    pub(super) logins_of_address: Counter,
    pub(super) logins_of_name: Counter,
    pub(super) mismatches_of_session: Counter,
    pub(super) refreshes_of_address: Counter,
    pub(super) refreshes_of_session: Counter,
    pub(super) registrations_of_address: Counter,
    pub(super) unknown_sessions_of_user: Counter,
    pub(super) wrong_secrets: Counter,
}

/// What ended sessions, by cause. One may end many.
#[derive(Debug)]
pub(super) struct Revocations {
    pub(super) all_of_user: Counter,
    pub(super) logout: Counter,
    pub(super) password_changed: Counter,
    pub(super) reused: Counter,
    pub(super) user: Counter,
    pub(super) user_disabled: Counter,
}

/// Audit events that were not stored.
#[derive(Clone, Debug)]
pub(crate) struct LostEvents {
    pub(super) not_stored: Counter,
    pub(super) queue_full: Counter,
}

/// What came of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refreshed {
    /// The row was behind the token, or gone, and was brought along.
    Adopted,
    /// The same successor was given again.
    Repeated,
    /// The session moved on.
    Rotated,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let refreshes = metrics.counters(
            "refreshes_total",
            "Refreshes that were answered, by outcome",
            "outcome",
            REFRESHES,
        );
        let logins = |name, help| {
            let [succeeded, failed] =
                metrics.counters(name, help, "outcome", ["succeeded", "failed"]);
            Logins { succeeded, failed }
        };
        let [
            locked_name,
            logins_of_address,
            logins_of_name,
            mismatches_of_session,
            refreshes_of_address,
            refreshes_of_session,
            registrations_of_address,
            unknown_sessions_of_user,
            wrong_secrets,
        ] = metrics.counters(
            "limited_total",
            "Calls that were refused for being too many, by limit",
            "limit",
            [
                "locked_name",
                "logins_of_address",
                "logins_of_name",
                "mismatches_of_session",
                "refreshes_of_address",
                "refreshes_of_session",
                "registrations_of_address",
                "unknown_sessions_of_user",
                "wrong_secrets",
            ],
        );
        let [all_of_user, logout, password_changed, reused, user, user_disabled] = metrics
            .counters(
                "revocations_total",
                "What ended sessions before their time, by cause",
                "cause",
                ["all_of_user", "logout", "password_changed", "reused", "user", "user_disabled"],
            );
        let [not_stored, queue_full] = metrics.counters(
            "audit_events_lost_total",
            "Audit events that were not stored, by cause",
            "cause",
            ["not_stored", "queue_full"],
        );
        Self {
            refreshes,
            logins: logins(
                "logins_total",
                "Logins of users whose password was checked, by outcome",
            ),
            service_logins: logins(
                "service_logins_total",
                "Logins of services whose secret was checked, by outcome",
            ),
            limited: Limited {
                locked_name,
                logins_of_address,
                logins_of_name,
                mismatches_of_session,
                refreshes_of_address,
                refreshes_of_session,
                registrations_of_address,
                unknown_sessions_of_user,
                wrong_secrets,
            },
            revocations: Revocations {
                all_of_user,
                logout,
                password_changed,
                reused,
                user,
                user_disabled,
            },
            lost_events: LostEvents { not_stored, queue_full },
        }
    }

    pub(crate) fn lost_events(&self) -> LostEvents {
        self.lost_events.clone()
    }

    /// Counts a refresh that is about to be answered.
    pub(super) fn refreshed(&self, answer: Result<Refreshed, &AppError>) {
        let outcome = outcome(answer);
        let place = REFRESHES.iter().position(|known| *known == outcome);
        self.refreshes[place.expect("every outcome is listed")].inc();
    }

    /// Counts a session that its holder has ended.
    pub(super) fn revoked(&self, reason: RevokeReason) {
        match reason {
            RevokeReason::Logout => self.revocations.logout.inc(),
            _ => self.revocations.user.inc(),
        }
    }
}

impl App {
    /// Tells what there is of `metrics` to read, whenever it is asked for.
    pub(crate) fn measure(&self, metrics: &Metrics) {
        self.passwords.measure(metrics);
        self.revocations.measure(metrics);
        self.store.measure(metrics);
    }
}

const REFRESHES: [&str; 12] = [
    "adopted",
    "expired",
    "failed",
    "invalid",
    "late",
    "limited",
    "repeated",
    "reused",
    "revoked",
    "rotated",
    "superseded",
    "unproved",
];

fn outcome(answer: Result<Refreshed, &AppError>) -> &'static str {
    match answer {
        Ok(Refreshed::Adopted) => "adopted",
        Ok(Refreshed::Repeated) => "repeated",
        Ok(Refreshed::Rotated) => "rotated",
        Err(AppError::CertificateMismatch) => "unproved",
        Err(AppError::DeadlineExceeded) => "late",
        Err(AppError::RefreshSuperseded) => "superseded",
        Err(AppError::RefreshTokenExpired) => "expired",
        Err(AppError::RefreshTokenInvalid) => "invalid",
        Err(AppError::RefreshTokenReused) => "reused",
        Err(AppError::SessionRevoked) => "revoked",
        Err(AppError::TooFast { .. }) => "limited",
        // The database did not answer, or the keys could not be read: no verdict on the token.
        Err(_) => "failed",
    }
}
