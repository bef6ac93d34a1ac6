//! The faults, what is claimed of each, and what others made of them.

use super::cases::Case;

/// Something that goes wrong, and what should come of it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) case: Case,
    /// What the JSON calls it.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) claim: &'static str,
    /// What the figures count.
    pub(super) counted: &'static str,
    /// What was counted with each of [`OTHERS`].
    pub(super) others: [&'static str; OTHERS.len()],
}

/// A way of doing the same in a browser.
#[derive(Debug)]
pub(super) struct Other {
    /// What the JSON calls it.
    pub(super) name: &'static str,
    /// The two lines above its column.
    pub(super) heading: [&'static str; 2],
    pub(super) what: &'static str,
}

pub(super) const OTHERS: [Other; 4] = [
    Other {
        name: "axios-auth-refresh",
        heading: ["axios-auth-", "refresh 5"],
        what: "axios 1.21.1 with axios-auth-refresh 5.0.2 as it comes",
    },
    Other {
        name: "axios-auth-refresh-otherwise",
        heading: ["its other", "settings"],
        what: "the same with `deduplicateRefresh: false`, and axios-auth-refresh 3.3.6",
    },
    Other {
        name: "queue-by-hand",
        heading: ["queue", "by hand"],
        what: "an `isRefreshing` flag and a queue, written by hand as is common",
    },
    Other {
        name: "rtk-query",
        heading: ["RTK Query", "+ mutex"],
        what: "RTK Query 2.14.0 with async-mutex 0.5.0",
    },
];

pub(super) static FAULTS: &[Fault] = &[
    Fault {
        case: Case::Herd,
        name: "herd",
        title: "1,000 calls at once, and the access token has run out",
        claim: "1 refresh, and no call fails",
        counted: "refreshes / failed",
        others: ["1 / 999", "1 / 0", "1 / 0", "1 / 0"],
    },
    Fault {
        case: Case::LateRefusals,
        name: "late-refusals",
        title: "Nine refusals arrive after the refresh has ended",
        claim: "they cause no refresh of their own, and no call fails",
        counted: "refreshes in all",
        others: ["10", "10", "10", "10"],
    },
    Fault {
        case: Case::LostAnswer,
        name: "lost-answer",
        title: "The answer to the refresh is lost on its way to three calls",
        claim: "no call fails, and the session goes on",
        counted: "failed / session",
        others: ["3 / revoked", "3 / revoked", "3 / revoked", "3 / lost"],
    },
    Fault {
        case: Case::LeaderGone,
        name: "leader-gone",
        title: "The caller that began the refresh goes away, nine others wait for it",
        claim: "1 refresh, and none of the nine fails",
        counted: "failed / session",
        others: ["0 / kept", "0 / kept", "0 / kept", "9 / lost"],
    },
    Fault {
        case: Case::RefusedAtOnce,
        name: "refused-at-once",
        title: "A server refuses every token: 100 calls at once",
        claim: "at most 5 refreshes, and no call is sent more than twice",
        counted: "refreshes / sends",
        others: ["1 / 101", "1 / 200", "100 / 5,150", "1 / 200"],
    },
    Fault {
        case: Case::RefusedInTurn,
        name: "refused-in-turn",
        title: "The same server: 100 calls, one after another",
        claim: "at most 5 refreshes in 30 seconds",
        counted: "refreshes",
        others: ["100", "100", "100", "100"],
    },
    Fault {
        case: Case::BusyOnce,
        name: "busy-once",
        title: "The refresh of three calls is answered 503, once",
        claim: "no call fails, and the session goes on",
        counted: "failed / session",
        others: ["3 / kept", "3 / kept", "3 / kept", "3 / lost"],
    },
    Fault {
        case: Case::Rivals,
        name: "rivals",
        title: "Two processes share one stored token and find it run out, 10 times",
        claim: "no session is revoked, and the two make 1 refresh between them each time",
        counted: "sessions revoked",
        others: ["10", "10", "10", "10"],
    },
];
