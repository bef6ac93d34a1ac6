//! Fault 45: what a refresh, a login, a revocation, a changed password and a disabled account
//! answer while they race must be explained by some order of them, each at an instant between its
//! call and its answer (Herlihy and Wing, "Linearizability", 1990).

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Debug,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use token::entropy::{Entropy, SeededEntropy, SystemEntropy};
use tokio::sync::Barrier;

use super::{
    ABSOLUTE, Fixture, START, Store, Successor, advance, event, hash, new_session, nonce,
    session_id, user_id, with_user,
};
use crate::domain::{
    session::RevokeReason,
    user::{LastAdmin, PasswordVersion, Status},
};

const ROUNDS: u128 = 200;
const CALLERS: usize = 5;
const CALLS: usize = 3;
/// The sessions of a round's user: the first is there, the others begin in it.
const SESSIONS: u8 = 2;

#[derive(Clone, Copy, Debug)]
enum Call {
    Refresh { session: u8, generation: u8 },
    Login { session: u8, version: i64 },
    Revoke { session: u8 },
    RevokeAll,
    ChangePassword { version: i64, kept: u8 },
    SetStatus(Status),
    Read { session: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done(bool),
    Ended(u64),
    Row(Option<(u64, bool)>),
}

/// A call, its answer, and where both stand in the order of all calls and answers.
#[derive(Clone, Copy, Debug)]
struct Operation {
    called: usize,
    call: Call,
    answer: Answer,
    answered: usize,
}

/// What a user and their sessions are, when one thing happens after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sequential {
    active: bool,
    version: i64,
    /// Generation, and whether it is revoked.
    sessions: BTreeMap<u8, (u64, bool)>,
}

impl Sequential {
    fn apply(&mut self, call: Call) -> Answer {
        match call {
            Call::Refresh { session, generation } => match self.sessions.get_mut(&session) {
                Some((at, false)) if *at == u64::from(generation) && self.active => {
                    *at += 1;
                    Answer::Done(true)
                }
                _ => Answer::Done(false),
            },
            Call::Login { session, version } => {
                let may = self.active && self.version == version;
                if may {
                    self.sessions.insert(session, (0, false));
                }
                Answer::Done(may)
            }
            Call::Revoke { session } => {
                // What is unknown leaves a tombstone.
                self.sessions.entry(session).or_insert((0, true)).1 = true;
                Answer::Done(true)
            }
            Call::RevokeAll => Answer::Ended(self.revoke_all_but(None)),
            Call::ChangePassword { version, kept } => {
                let may = self.active
                    && self.version == version
                    && self.sessions.get(&kept).is_some_and(|(_, revoked)| !revoked);
                if may {
                    self.version += 1;
                    self.revoke_all_but(Some(kept));
                }
                Answer::Done(may)
            }
            Call::SetStatus(status) => {
                let active = status == Status::Active;
                let changed = self.active != active;
                self.active = active;
                if changed && !active {
                    self.revoke_all_but(None);
                }
                Answer::Done(changed)
            }
            Call::Read { session } => Answer::Row(self.sessions.get(&session).copied()),
        }
    }

    fn revoke_all_but(&mut self, kept: Option<u8>) -> u64 {
        let others = self.sessions.iter_mut().filter(|(id, _)| Some(**id) != kept);
        let live = others.filter(|(_, (_, revoked))| !revoked);
        live.map(|(_, (_, revoked))| *revoked = true).count() as u64
    }
}

pub(super) async fn are_linearizable<S: Store>(fixture: &Fixture<S>) {
    let seed = match std::env::var("EVERGREEN_SEED") {
        Ok(seed) => seed.parse().expect("EVERGREEN_SEED is a number"),
        Err(_) => u64::from_be_bytes((&SystemEntropy as &dyn Entropy).array()),
    };
    println!("EVERGREEN_SEED={seed}");
    let entropy = SeededEntropy::new(seed);
    let (mut refreshed, mut refused) = (0, 0);
    for round in 1..=ROUNDS {
        // A round's user is 1000 times its number, their sessions the numbers from there.
        with_user(fixture, round * 1000).await;
        let plans: Vec<Vec<Call>> = (0..CALLERS).map(|caller| plan(caller, &entropy)).collect();
        let order = AtomicUsize::new(0);
        let start = Barrier::new(CALLERS);
        let history: Vec<Operation> = join_all(plans.into_iter().map(async |calls| {
            start.wait().await;
            let mut operations = Vec::new();
            for call in calls {
                let called = order.fetch_add(1, Ordering::SeqCst);
                let answer = make(fixture, round, call).await;
                let answered = order.fetch_add(1, Ordering::SeqCst);
                operations.push(Operation { called, call, answer, answered });
            }
            operations
        }))
        .await
        .concat();
        for operation in &history {
            match operation {
                Operation { call: Call::Refresh { .. }, answer: Answer::Done(true), .. } => {
                    refreshed += 1;
                }
                Operation { call: Call::Refresh { .. }, .. } => refused += 1,
                _ => {}
            }
        }
        if let Err(longest) = linearize(&history) {
            let mut history = history;
            history.sort_by_key(|operation| operation.called);
            panic!(
                "seed {seed}, round {round}: no order explains more than {longest} of\n{history:#?}"
            );
        }
    }
    println!("{ROUNDS} histories; refreshes: {refreshed} went through, {refused} were refused");
    assert!(refreshed > 0 && refused > 0, "the races were none");
}

/// What one caller asks for. Each new session is begun by one caller only, since an id is new.
fn plan(caller: usize, entropy: &dyn Entropy) -> Vec<Call> {
    let begins = u8::try_from(caller).expect("callers are few") + 1;
    let mut logged_in = false;
    (0..CALLS)
        .map(|_| {
            let [kind, session, small] = entropy.array();
            let session = session % SESSIONS;
            match (kind % 10, small % 4) {
                (0..=4, _) => Call::Refresh { session, generation: small % 2 },
                (5..=6, _) if begins < SESSIONS && !logged_in => {
                    logged_in = true;
                    Call::Login { session: begins, version: 1 + i64::from(small % 4 == 3) }
                }
                (7, 0) => Call::Revoke { session: 0 },
                (7, 1) => Call::RevokeAll,
                (7, 2) => Call::ChangePassword { version: 1, kept: session },
                (7, _) => Call::SetStatus(Status::Disabled),
                (8, 0) => Call::SetStatus(Status::Active),
                (8, 1) => Call::ChangePassword { version: 2, kept: 0 },
                _ => Call::Read { session },
            }
        })
        .collect()
}

async fn make<S: Store>(fixture: &Fixture<S>, round: u128, call: Call) -> Answer {
    let store = &fixture.store;
    let user = user_id(round * 1000);
    let id = |session: u8| round * 1000 + u128::from(session);
    match call {
        Call::Refresh { session, generation } => {
            let from = (generation.into(), generation);
            let mut advance = advance(fixture, id(session), from, generation + 1);
            // Without a key no two of them are the same attempt.
            advance.to = Successor::for_test(advance.to.generation, nonce(generation + 1), false);
            Answer::Done(store.advance(advance).await.unwrap().is_some())
        }
        Call::Login { session, version } => {
            let session = new_session(id(session), round * 1000, START);
            let version = PasswordVersion(version);
            Answer::Done(store.insert_session(&session, version, &event()).await.unwrap())
        }
        Call::Revoke { session } => {
            let (session, until) = (session_id(id(session)), START + ABSOLUTE);
            let reason = RevokeReason::User;
            let revoked = store.revoke_session(session, user, until, reason, &event()).await;
            Answer::Done(revoked.unwrap())
        }
        Call::RevokeAll => Answer::Ended(store.revoke_all_sessions(user, &event()).await.unwrap()),
        Call::ChangePassword { version, kept } => {
            let (version, kept) = (PasswordVersion(version), session_id(id(kept)));
            let changed = store.change_password(user, version, &hash("v"), kept, &event()).await;
            Answer::Done(changed.unwrap())
        }
        Call::SetStatus(status) => {
            Answer::Done(store.set_status(user, status, LastAdmin::Stays, &event()).await.unwrap())
        }
        Call::Read { session } => {
            let (row, _) = store.session(session_id(id(session))).await.unwrap();
            Answer::Row(row.map(|session| (session.row.generation, session.row.revoked)))
        }
    }
}

/// Finds an order that explains every answer, or tells how many can be explained at the most
/// (Wing and Gong, "Testing and verifying concurrent objects", 1993).
fn linearize(history: &[Operation]) -> Result<(), usize> {
    let start = Sequential { active: true, version: 1, sessions: [(0, (0, false))].into() };
    let mut seen = HashSet::new();
    let mut longest = 0;
    let mut open = vec![(0_u64, start)];
    while let Some((done, state)) = open.pop() {
        let pending = || (0..history.len()).filter(|place| done & (1 << place) == 0);
        longest = longest.max(done.count_ones() as usize);
        // Whatever was called after another's answer comes after it.
        let Some(first_answer) = pending().map(|place| history[place].answered).min() else {
            return Ok(());
        };
        for place in pending().filter(|place| history[*place].called < first_answer) {
            let mut next = state.clone();
            if next.apply(history[place].call) == history[place].answer {
                let next = (done | (1 << place), next);
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
    }
    Err(longest)
}

#[test]
fn an_acknowledged_revocation_before_a_successful_refresh_is_not_explained() {
    let operation = |called, call, answer, answered| Operation { called, call, answer, answered };
    let revoke = Call::Revoke { session: 0 };
    let refresh = Call::Refresh { session: 0, generation: 0 };
    let done = Answer::Done(true);
    let after = [operation(0, revoke, done, 1), operation(2, refresh, done, 3)];
    assert_eq!(linearize(&after), Err(1));
    let at_once = [operation(0, revoke, done, 2), operation(1, refresh, done, 3)];
    assert_eq!(linearize(&at_once), Ok(()));
}
