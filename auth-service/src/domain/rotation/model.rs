//! An exhaustive search of what can happen between clients, a network and the very function that
//! decides in production: every order of sends, deliveries, losses, copies and faults, within the
//! bounds of each [`Scenario`]. `docs/PROTOCOL.md` says what was searched.
//!
//! A broken invariant is reported with the shortest sequence of steps that leads there.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
    time::Duration,
};

use token::{Nonce, clock::Timestamp};

use super::{Attempt, Decision, Head, Policy, Presented, Row, Successors, decide_by, table::Rule};

/// A unit of the model's time: the reuse grace is one of them.
const TICK: Duration = Duration::from_secs(10);
const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_000_000);

/// What may happen, and how much of it.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    name: &'static str,
    /// Processes of the owner that share one store.
    processes: usize,
    /// Whether the owner names attempts.
    keyed: bool,
    ticks: i64,
    generations: u64,
    /// Requests in flight at a time, those that wait to be written included.
    in_flight: usize,
    /// How often a delivered request stays in the network as a copy.
    copies: u8,
    /// Whether a request or an answer may be lost. A client that crashes after sending is one that hears nothing
    /// and repeats what its store holds; a server that crashes after its commit loses the answer,
    /// one that crashes before loses the request.
    loss: bool,
    /// How many ticks a request may be under way; `None`: any number.
    life: Option<i64>,
    rollback: bool,
    missing_row: bool,
    ring_rotation: bool,
    /// How far the server's clock may once be set back.
    clock_back: i64,
    /// Whether the server's clock may stand still.
    clock_frozen: bool,
    /// How many ticks the clock of a second instance is ahead of the first's; every delivery
    /// chooses its instance.
    skew: i64,
    thief_sends: u8,
    /// Whether the thief takes the attempt that the owner waits for, and not the token alone.
    thief_takes_attempt: bool,
    revocation: bool,
    idle_ticks: i64,
    rival_window: u32,
    /// Whether anything may happen between an owner's decision and its write.
    late_writes: bool,
    /// Whether a request's deadline is looked at again when its turn to write has come.
    late_deadline: bool,
}

const BASE: Scenario = Scenario {
    name: "",
    processes: 1,
    keyed: true,
    ticks: 3,
    generations: 4,
    in_flight: 2,
    copies: 1,
    loss: true,
    life: None,
    rollback: false,
    missing_row: false,
    ring_rotation: false,
    clock_back: 0,
    clock_frozen: false,
    skew: 0,
    thief_sends: 0,
    thief_takes_attempt: false,
    revocation: false,
    idle_ticks: 1_000,
    rival_window: 2,
    late_writes: false,
    late_deadline: true,
};

/// Two processes that share a store without its lock, in a network that loses nothing.
const TWO_PROCESSES: Scenario =
    Scenario { processes: 2, loss: false, life: Some(1), generations: 2, ..BASE };

const THIEF: Scenario =
    Scenario { thief_sends: 3, copies: 0, in_flight: 1, life: Some(1), generations: 3, ..BASE };

/// Time passes after a restore: enough for the rival window to end.
const RESTORED: Scenario = Scenario { rival_window: 1, ticks: 1, generations: 3, ..BASE };

/// The worlds in which every invariant holds, the quickest to miss a rule first.
const SCENARIOS: [Scenario; 28] = [
    Scenario {
        name: "a client without keys, within its grace",
        keyed: false,
        copies: 0,
        in_flight: 1,
        ticks: 0,
        ..BASE
    },
    Scenario { name: "an idle end", idle_ticks: 2, generations: 2, in_flight: 1, ..BASE },
    Scenario {
        name: "an idle end, late writes",
        idle_ticks: 2,
        generations: 2,
        in_flight: 1,
        late_writes: true,
        ..BASE
    },
    Scenario { name: "a revocation", revocation: true, ticks: 0, generations: 3, ..BASE },
    Scenario {
        name: "a revocation, late writes",
        revocation: true,
        ticks: 0,
        generations: 2,
        late_writes: true,
        ..BASE
    },
    Scenario {
        name: "a thief, late writes",
        thief_sends: 2,
        generations: 2,
        ticks: 2,
        late_writes: true,
        ..THIEF
    },
    Scenario { name: "a row that is gone", missing_row: true, ticks: 0, ..BASE },
    Scenario {
        name: "a key ring that is rotated",
        ring_rotation: true,
        copies: 2,
        ticks: 0,
        ..BASE
    },
    Scenario { name: "a database that is restored", rollback: true, ticks: 0, ..BASE },
    Scenario {
        name: "a database that is restored, late writes",
        rollback: true,
        ticks: 0,
        generations: 3,
        late_writes: true,
        ..BASE
    },
    Scenario {
        name: "a row that is gone, a key ring that is rotated",
        missing_row: true,
        ring_rotation: true,
        ticks: 0,
        ..BASE
    },
    Scenario {
        name: "a row that is gone, a key ring that is rotated, any delay",
        missing_row: true,
        ring_rotation: true,
        ..RESTORED
    },
    Scenario {
        name: "a database that is restored, a key ring that is rotated",
        rollback: true,
        ring_rotation: true,
        ticks: 0,
        ..BASE
    },
    Scenario {
        name: "a database that is restored, a key ring that is rotated, any delay",
        rollback: true,
        ring_rotation: true,
        ..RESTORED
    },
    Scenario { name: "a row that is gone, any delay", missing_row: true, ..RESTORED },
    Scenario { name: "a database that is restored, any delay", rollback: true, ..RESTORED },
    Scenario {
        name: "two processes, a clock that is set back",
        clock_back: 2,
        ticks: 2,
        ..TWO_PROCESSES
    },
    Scenario {
        name: "two processes, a key ring that is rotated",
        ring_rotation: true,
        ticks: 2,
        ..TWO_PROCESSES
    },
    Scenario {
        name: "two processes, clocks that differ",
        skew: 1,
        rival_window: 3,
        ..TWO_PROCESSES
    },
    Scenario { name: "two processes, late writes", late_writes: true, ..TWO_PROCESSES },
    Scenario { name: "two processes", generations: 3, ..TWO_PROCESSES },
    Scenario { name: "a clock that stands still", clock_frozen: true, generations: 3, ..BASE },
    Scenario {
        name: "clocks that differ, a thief",
        skew: 1,
        rival_window: 3,
        thief_sends: 2,
        generations: 2,
        ..THIEF
    },
    Scenario { name: "a clock that is set back", clock_back: 3, generations: 3, ..BASE },
    Scenario { name: "loss, copies and any delay", ..BASE },
    Scenario {
        name: "a thief, two processes",
        thief_sends: 2,
        processes: 2,
        in_flight: 2,
        loss: false,
        ticks: 1,
        generations: 2,
        ..THIEF
    },
    Scenario { name: "a thief", ..THIEF },
    Scenario {
        name: "a thief who takes the attempt too",
        thief_takes_attempt: true,
        ticks: 2,
        ..THIEF
    },
];

/// A refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Token {
    head: Head,
    issued: i64,
    /// The key that signed it.
    ring: u8,
}

/// An attempt as a store holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Attempted {
    token: Token,
    key: Option<u8>,
    flagged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Sent {
    process: usize,
    attempt: Attempted,
    at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Answer {
    Pair(Token),
    Superseded,
    Over,
}

/// The owner's store, which all processes of the owner share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Shop {
    token: Token,
    /// What each process is waiting to hear about.
    pending: Vec<Option<Attempted>>,
    /// How often in a row each was told that it was superseded.
    superseded: Vec<u8>,
    signed_out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Thief {
    token: Token,
    /// The generation of the token that was stolen.
    stolen: u64,
    /// The owner's attempt, if it was stolen too.
    attempt: Option<Attempted>,
    /// Whether he has rotated by an attempt of his own.
    rotated: bool,
}

/// What a decision saw of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seen {
    head: Head,
    revoked: bool,
    ended: bool,
}

/// A decision that waits for its turn to write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Decided {
    sent: Sent,
    instance: usize,
    seen: Option<Seen>,
    decision: Decision,
}

/// How the thief names an attempt.
#[derive(Clone, Copy, Debug)]
enum Named {
    ByOwnKey,
    ByStolenKey,
    NotAtAll,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// True time, in ticks, and what the first instance's clock shows.
    now: i64,
    clock: i64,
    row: Option<Row>,
    backup: Option<Row>,
    restored: bool,
    ring: u8,
    owner: Shop,
    /// Whether the owner has rotated the token that was stolen, or a later one, by an attempt that
    /// was not stolen.
    owner_rotated_stolen: bool,
    thief: Option<Thief>,
    thief_sends: u8,
    requests: Vec<Sent>,
    decided: Vec<Decided>,
    answers: Vec<(usize, Attempted, Answer)>,
    copies: u8,
    keys: u8,
    turned_back: bool,
    revoked_by_owner: bool,
}

impl State {
    fn is_under_way(&self, attempt: &Attempted) -> bool {
        self.requests.iter().any(|sent| sent.attempt == *attempt)
            || self.decided.iter().any(|decided| decided.sent.attempt == *attempt)
            || self.answers.iter().any(|(_, answered, _)| answered == attempt)
    }
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive { request: usize, instance: usize, a_copy_stays: bool },
    Backup,
    ClockSetBack,
    ClockStandsStill,
    Hear { answer: usize },
    LoseAnswer { answer: usize },
    LoseRequest { request: usize },
    Restore,
    Revoke,
    RingRotated,
    RowLost,
    Send { process: usize },
    Steal,
    ThiefSends { named: Named, flagged: bool, instance: usize },
    TimePasses,
    Write { decided: usize },
}

/// What is wrong with a state.
type Broken = String;

/// The successors of an attempt: readable nonces, under the ring's live keys.
#[derive(Debug)]
struct Derived {
    key: u8,
    /// The key that signed the spent token.
    signer: u8,
    ring: u8,
}

impl Successors for Derived {
    fn nonces(&self, generation: u64) -> Box<dyn Iterator<Item = Nonce> + '_> {
        let others = (0..=self.ring).rev().filter(|ring| *ring != self.signer);
        let rings = std::iter::once(self.signer).chain(others);
        Box::new(rings.map(move |ring| nonce(1 + ring, self.key, generation)))
    }
}

fn nonce(kind: u8, key: u8, generation: u64) -> Nonce {
    let mut bytes = [0; 16];
    bytes[0] = kind;
    bytes[1] = key;
    bytes[8..].copy_from_slice(&generation.to_be_bytes());
    Nonce::from_bytes(bytes)
}

fn at(tick: i64) -> Timestamp {
    let offset = TICK * u32::try_from(tick.unsigned_abs()).unwrap();
    if tick < 0 { EPOCH - offset } else { EPOCH + offset }
}

/// A world, and the table that decides in it.
struct Model<'a> {
    scenario: &'a Scenario,
    table: &'a [Rule],
    policy: Policy,
}

impl Model<'_> {
    fn start(&self) -> State {
        let token = Token { head: Head::new(0, nonce(0, 0, 0)), issued: 0, ring: 0 };
        let idle_until = at(0) + self.policy.idle_life;
        State {
            now: 0,
            clock: 0,
            row: Some(Row::first(token.head.nonce, at(0), idle_until, at(10_000))),
            backup: None,
            restored: false,
            ring: 0,
            owner: Shop {
                token,
                pending: vec![None; self.scenario.processes],
                superseded: vec![0; self.scenario.processes],
                signed_out: false,
            },
            owner_rotated_stolen: false,
            thief: None,
            thief_sends: 0,
            requests: Vec::new(),
            decided: Vec::new(),
            answers: Vec::new(),
            copies: 0,
            keys: 0,
            turned_back: false,
            revoked_by_owner: false,
        }
    }

    /// Everything that can happen next.
    fn steps(&self, state: &State) -> Vec<Step> {
        let scenario = self.scenario;
        let mut steps = Vec::new();
        let mut may = |allowed: bool, step: Step| {
            if allowed {
                steps.push(step);
            }
        };
        let lives = |sent: &Sent| scenario.life.is_none_or(|life| state.now - sent.at < life);
        // Where a request's life is bounded, so is that of its answer.
        let heard = scenario.life.is_none() || state.answers.is_empty();
        let passes = state.now < scenario.ticks && heard && state.requests.iter().all(lives);
        may(passes, Step::TimePasses);
        may(passes && scenario.clock_frozen, Step::ClockStandsStill);
        may(scenario.clock_back > 0 && !state.turned_back, Step::ClockSetBack);
        let untouched = state.backup.is_none() && !state.restored;
        may(scenario.rollback && untouched, Step::Backup);
        may(state.backup.is_some(), Step::Restore);
        may(scenario.missing_row && !state.restored, Step::RowLost);
        may(scenario.ring_rotation && state.ring == 0, Step::RingRotated);
        may(scenario.revocation && !state.revoked_by_owner, Step::Revoke);
        let more = state.requests.len() + state.decided.len() < scenario.in_flight
            && !state.owner.signed_out
            && state.owner.token.head.generation < scenario.generations;
        for process in 0..scenario.processes {
            // Where nothing is lost, nothing that is under way is repeated.
            let waits = state.owner.pending[process].is_some_and(|it| state.is_under_way(&it));
            may(more && (scenario.loss || !waits), Step::Send { process });
        }
        let instances = if scenario.skew == 0 { 1 } else { 2 };
        let room = state.answers.len() < scenario.in_flight;
        let copies = state.copies < scenario.copies;
        for request in 0..state.requests.len() {
            may(scenario.loss, Step::LoseRequest { request });
            for instance in 0..instances {
                may(room, Step::Arrive { request, instance, a_copy_stays: false });
                may(room && copies, Step::Arrive { request, instance, a_copy_stays: true });
            }
        }
        for decided in 0..state.decided.len() {
            may(room, Step::Write { decided });
        }
        for answer in 0..state.answers.len() {
            may(true, Step::Hear { answer });
            may(scenario.loss, Step::LoseAnswer { answer });
        }
        let takes = !scenario.thief_takes_attempt || state.owner.pending[0].is_some();
        may(scenario.thief_sends > 0 && state.thief.is_none() && takes, Step::Steal);
        let Some(thief) = &state.thief else { return steps };
        for (named, able) in [
            (Named::ByOwnKey, true),
            (Named::ByStolenKey, thief.attempt.is_some()),
            (Named::NotAtAll, true),
        ] {
            let able = able && state.thief_sends < scenario.thief_sends;
            for instance in 0..instances {
                may(able, Step::ThiefSends { named, flagged: false, instance });
                may(able, Step::ThiefSends { named, flagged: true, instance });
            }
        }
        steps
    }

    fn take(&self, state: &State, step: Step) -> Result<State, Broken> {
        let mut next = state.clone();
        match step {
            Step::TimePasses => {
                next.now += 1;
                next.clock += 1;
            }
            Step::ClockStandsStill => next.now += 1,
            Step::ClockSetBack => {
                next.clock -= self.scenario.clock_back;
                next.turned_back = true;
            }
            Step::Backup => next.backup = next.row.clone(),
            Step::Restore => {
                next.row = next.backup.take();
                next.restored = true;
            }
            Step::RowLost => {
                next.row = None;
                next.restored = true;
            }
            Step::RingRotated => next.ring = 1,
            Step::Revoke => {
                if let Some(row) = &mut next.row {
                    row.revoked = true;
                }
                next.revoked_by_owner = true;
            }
            Step::Send { process } => self.send(&mut next, process),
            Step::LoseRequest { request } => drop(next.requests.remove(request)),
            Step::Arrive { request, instance, a_copy_stays } => {
                let sent = next.requests[request];
                if a_copy_stays {
                    next.copies += 1;
                } else {
                    next.requests.remove(request);
                }
                self.arrive(&mut next, sent, instance)?;
            }
            Step::Write { decided } => {
                let decided = next.decided.remove(decided);
                self.write(&mut next, &decided)?;
            }
            Step::Hear { answer } => {
                let (process, attempt, answer) = next.answers.remove(answer);
                self.hear(&mut next, process, &attempt, answer)?;
            }
            Step::LoseAnswer { answer } => drop(next.answers.remove(answer)),
            Step::Steal => {
                let token = next.owner.token;
                let attempt = next.owner.pending[0].filter(|_| self.scenario.thief_takes_attempt);
                let stolen = token.head.generation;
                next.thief = Some(Thief { token, stolen, attempt, rotated: false });
            }
            Step::ThiefSends { named, flagged, instance } => {
                self.thief_sends(&mut next, named, flagged, instance)?;
            }
        }
        next.requests.sort();
        next.decided.sort_by_key(|decided| (decided.sent, decided.instance));
        next.answers.sort();
        Ok(next)
    }

    /// What an owner's process does: repeats the attempt that the store holds, or makes a new one
    /// and writes it down before it sends.
    fn send(&self, state: &mut State, process: usize) {
        // The store dropped an attempt on an older token when it took the newer one.
        let newest = state.owner.token;
        state.owner.pending[process].take_if(|pending| pending.token != newest);
        let attempt = *state.owner.pending[process].get_or_insert_with(|| {
            state.keys += 1;
            Attempted {
                token: state.owner.token,
                key: self.scenario.keyed.then_some(state.keys),
                flagged: false,
            }
        });
        // Where requests live for ever, when they were sent makes no difference.
        let at = if self.scenario.life.is_some() { state.now } else { 0 };
        let sent = Sent { process, attempt, at };
        if !state.requests.contains(&sent) {
            state.requests.push(sent);
        }
    }

    /// What an owner's process does with an answer, if its store still holds the attempt.
    fn hear(
        &self,
        state: &mut State,
        process: usize,
        attempt: &Attempted,
        answer: Answer,
    ) -> Result<(), Broken> {
        if state.owner.pending[process] != Some(*attempt) {
            return Ok(());
        }
        state.owner.pending[process] = None;
        match answer {
            Answer::Pair(token) => {
                state.owner.superseded[process] = 0;
                if token.head.generation > state.owner.token.head.generation {
                    state.owner.token = token;
                }
            }
            Answer::Superseded => {
                state.owner.superseded[process] += 1;
                if state.owner.superseded[process] > 1 {
                    return Err("the owner was superseded twice in a row".into());
                }
                let owner = &mut state.owner;
                let mut others = owner.pending.iter().flatten();
                let other = others
                    .find(|other| other.token == owner.token && other.key != attempt.key)
                    .copied();
                if owner.token != attempt.token {
                    owner.superseded[process] = 0;
                } else if other.is_some() {
                    // The store waits for an answer to another attempt, and so does this process.
                    owner.superseded[process] = 0;
                    owner.pending[process] = other;
                } else {
                    // The store holds nothing newer: once more, with a new key, and say so.
                    state.keys += 1;
                    let key = Some(state.keys);
                    owner.pending[process] = Some(Attempted { key, flagged: true, ..*attempt });
                }
            }
            Answer::Over => state.owner.signed_out = true,
        }
        Ok(())
    }

    /// A thief uses what he stole as he likes; his network never fails.
    fn thief_sends(
        &self,
        state: &mut State,
        named: Named,
        flagged: bool,
        instance: usize,
    ) -> Result<(), Broken> {
        let Some(thief) = state.thief else { return Ok(()) };
        state.thief_sends += 1;
        let key = match named {
            Named::ByOwnKey => Some(200 + state.thief_sends),
            Named::ByStolenKey => thief.attempt.and_then(|attempt| attempt.key),
            Named::NotAtAll => None,
        };
        let attempt = Attempted { token: thief.token, key, flagged };
        let answer = loop {
            let (seen, decision) = self.decide(state, &attempt, instance, true);
            let done = self.carry_out(state, &attempt, instance, true, seen, &decision)?;
            if let Some(answer) = done {
                break answer;
            }
        };
        if let (Answer::Pair(token), Some(thief)) = (answer, &mut state.thief) {
            thief.token = token;
        }
        Ok(())
    }

    /// A request reaches an instance, which decides and, unless it has to wait for that, writes.
    fn arrive(&self, state: &mut State, sent: Sent, instance: usize) -> Result<(), Broken> {
        loop {
            let (seen, decision) = self.decide(state, &sent.attempt, instance, false);
            let writes = matches!(
                decision,
                Decision::Rotate(_)
                    | Decision::Adopt { .. }
                    | Decision::Recreate
                    | Decision::Reused { .. }
            );
            if writes && self.scenario.late_writes {
                state.decided.push(Decided { sent, instance, seen, decision });
                return Ok(());
            }
            let done = self.carry_out(state, &sent.attempt, instance, false, seen, &decision)?;
            if let Some(answer) = done {
                state.answers.push((sent.process, sent.attempt, answer));
                return Ok(());
            }
        }
    }

    /// A decision's turn to write has come: what is too late is dropped, what finds another row is
    /// decided anew.
    fn write(&self, state: &mut State, decided: &Decided) -> Result<(), Broken> {
        let Decided { sent, instance, seen, decision } = decided;
        let passed = self.scenario.late_deadline
            && self.scenario.life.is_some_and(|life| state.now - sent.at > life);
        // To end a stolen session it is never too late.
        if passed && !matches!(decision, Decision::Reused { .. }) {
            return Ok(());
        }
        match self.carry_out(state, &sent.attempt, *instance, false, *seen, decision)? {
            Some(answer) => state.answers.push((sent.process, sent.attempt, answer)),
            None if passed => {}
            None => self.arrive(state, *sent, *instance)?,
        }
        Ok(())
    }

    /// What the clock of an instance shows.
    fn now(&self, state: &State, instance: usize) -> Timestamp {
        at(state.clock + if instance == 0 { 0 } else { self.scenario.skew })
    }

    /// Reads the row and decides, by the function that decides in production.
    fn decide(
        &self,
        state: &State,
        attempt: &Attempted,
        instance: usize,
        by_thief: bool,
    ) -> (Option<Seen>, Decision) {
        let signer = attempt.token.ring;
        let derived = attempt.key.map(|key| Derived { key, signer, ring: state.ring });
        let named = match &derived {
            Some(derived) => Attempt::Keyed(derived),
            // Of all that are drawn for a generation one at most is used by each party.
            None => Attempt::Keyless {
                fresh: nonce(100, by_thief.into(), attempt.token.head.generation + 1),
            },
        };
        let presented = Presented {
            generation: attempt.token.head.generation,
            nonce: attempt.token.head.nonce,
            issued_at: at(attempt.token.issued),
            auth_time: at(0),
            expires_at: at(10_000),
            attempt: named,
            after_superseded: attempt.flagged,
        };
        let now = self.now(state, instance);
        let row = state.row.as_ref();
        let decision = decide_by(self.table, &presented, row, &self.policy, now);
        (self.seen(state, attempt, now), decision.unwrap_or(Decision::Superseded))
    }

    /// What a compare-and-set will compare.
    fn seen(&self, state: &State, attempt: &Attempted, now: Timestamp) -> Option<Seen> {
        let promised = at(attempt.token.issued) + self.policy.idle_life;
        state.row.as_ref().map(|row| Seen {
            head: row.head(),
            revoked: row.revoked,
            ended: now >= row.idle_until.max(promised),
        })
    }

    /// Does what was decided on what was `seen`, and holds it against the invariants; `None` if
    /// it has to be decided anew.
    fn carry_out(
        &self,
        state: &mut State,
        attempt: &Attempted,
        instance: usize,
        by_thief: bool,
        seen: Option<Seen>,
        decision: &Decision,
    ) -> Result<Option<Answer>, Broken> {
        let now = self.now(state, instance);
        let there = self.seen(state, attempt, now);
        if there != seen {
            return Ok(None);
        }
        let presented = attempt.token.head;
        let (Some(row), Some(seen)) = (state.row.clone(), seen) else {
            assert_eq!(*decision, Decision::Recreate, "a row that is gone is made again");
            let issued_at = at(attempt.token.issued);
            let idle_until = issued_at + self.policy.idle_life;
            let mut row = Row::first(presented.nonce, issued_at, idle_until, at(10_000));
            row.generation = presented.generation;
            state.row = Some(row);
            return Ok(None);
        };
        let stolen = state
            .thief
            .and_then(|thief| thief.attempt)
            .is_some_and(|stolen| (stolen.token, stolen.key) == (attempt.token, attempt.key));
        let answer = match decision {
            Decision::Rotate(to) => {
                Self::check_rotation(state, presented, by_thief, stolen)?;
                state.row = Some(row.rotated(to, now, &self.policy));
                self.newest(state)
            }
            Decision::Adopt { successor: to, .. } => {
                Self::check_rotation(state, presented, by_thief, stolen)?;
                state.row = Some(row.adopted(presented.nonce, to, now, &self.policy));
                self.newest(state)
            }
            Decision::Repeat => {
                if by_thief && !stolen {
                    return Err("the thief was given the owner's successor".into());
                }
                if !by_thief && state.thief.is_some_and(|thief| thief.rotated) {
                    return Err("the owner was given the thief's successor".into());
                }
                self.newest(state)
            }
            Decision::Superseded => Answer::Superseded,
            Decision::Reused { .. } => {
                if state.thief.is_none() {
                    return Err("an honest client was taken for a thief".into());
                }
                state.row = Some(Row { revoked: true, ..row });
                Answer::Over
            }
            Decision::Expired => {
                if !seen.ended {
                    return Err("a session ended before its token's promise".into());
                }
                Answer::Over
            }
            Decision::Revoked => Answer::Over,
            Decision::Unknown | Decision::Recreate => {
                return Err(format!("{decision:?} is no answer"));
            }
        };
        if seen.revoked && answer != Answer::Over {
            return Err("a revoked session answered".into());
        }
        if seen.ended && matches!(answer, Answer::Pair(_)) {
            return Err("an ended session rotated".into());
        }
        // A thief who comes second and cannot pass for a rival is caught there and then.
        let row = state.row.as_ref().expect("a decided row is there");
        let recent = now.saturating_since(row.rotated_at) < self.policy.rival_window;
        let rival = attempt.key.is_some() && recent && !attempt.flagged;
        if by_thief && answer == Answer::Superseded && !rival && !stolen {
            return Err("a spent token came back and nothing happened".into());
        }
        Ok(Some(answer))
    }

    /// The newest token of the row, as a client would hold it.
    fn newest(&self, state: &State) -> Answer {
        let row = state.row.as_ref().expect("a rotated row is there");
        let issued = row.rotated_at.unix_seconds() - EPOCH.unix_seconds();
        let ticks = i64::try_from(TICK.as_secs()).unwrap();
        Answer::Pair(Token { head: row.head(), issued: issued.div_euclid(ticks), ring: state.ring })
    }

    /// Owner and thief never both rotate what was stolen. Where the owner's attempt was stolen too,
    /// both get the one successor that it makes, and it is with this that they never both rotate.
    fn check_rotation(
        state: &mut State,
        presented: Head,
        by_thief: bool,
        stolen: bool,
    ) -> Result<(), Broken> {
        let Some(thief) = &mut state.thief else { return Ok(()) };
        if by_thief && state.owner_rotated_stolen {
            return Err("the thief rotated after the owner".into());
        }
        if !by_thief && thief.rotated {
            return Err("the owner rotated after the thief: the theft went unnoticed".into());
        }
        thief.rotated |= by_thief && !stolen;
        state.owner_rotated_stolen |= !by_thief && !stolen && presented.generation >= thief.stolen;
        Ok(())
    }
}

/// Hashes a word by one multiplication: in a debug build the default hasher would take most of the
/// search's time.
#[derive(Debug, Default)]
struct Multiplied(u64);

impl Hasher for Multiplied {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_ne_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

/// Each state that was found, and the step that led there.
type Found = HashMap<Rc<State>, Option<(Rc<State>, Step)>, BuildHasherDefault<Multiplied>>;

/// Searches all that can happen, and gives back the number of states, or the shortest way to a
/// broken invariant.
fn search(scenario: &Scenario, table: &[Rule]) -> Result<usize, String> {
    let idle_life = TICK * u32::try_from(scenario.idle_ticks).unwrap();
    let policy = Policy::new(idle_life, TICK, TICK * scenario.rival_window, true);
    let model = Model { scenario, table, policy };
    let start = Rc::new(model.start());
    let mut seen = Found::default();
    let mut queue = VecDeque::from([Rc::clone(&start)]);
    seen.insert(start, None);
    while let Some(state) = queue.pop_front() {
        for step in model.steps(&state) {
            match model.take(&state, step) {
                Ok(next) => {
                    if let Entry::Vacant(new) = seen.entry(Rc::new(next)) {
                        queue.push_back(Rc::clone(new.key()));
                        new.insert(Some((Rc::clone(&state), step)));
                    }
                }
                Err(broken) => return Err(told(&seen, &state, step, &broken)),
            }
        }
    }
    Ok(seen.len())
}

/// The steps that led to a broken invariant, one a line.
fn told(seen: &Found, state: &Rc<State>, last: Step, broken: &str) -> String {
    let mut steps = vec![broken.to_owned(), format!("{last:?}")];
    let mut at = Rc::clone(state);
    while let Some(Some((before, step))) = seen.get(&at) {
        steps.push(format!("{step:?}"));
        at = Rc::clone(before);
    }
    steps.reverse();
    steps.join("\n  ")
}

#[test]
fn nobody_honest_is_logged_out_and_every_thief_is_caught() {
    let mut total = 0;
    for scenario in &SCENARIOS {
        match search(scenario, &Rule::TABLE) {
            Ok(states) => {
                println!("{:>9} states: {}", states, scenario.name);
                total += states;
            }
            Err(told) => panic!("{}:\n  {told}", scenario.name),
        }
    }
    println!("{total:>9} states in all");
}

#[test]
fn each_rule_of_the_table_is_needed() {
    for rule in Rule::TABLE {
        let table: Vec<Rule> = Rule::TABLE.into_iter().filter(|kept| *kept != rule).collect();
        let caught = SCENARIOS.iter().find_map(|scenario| {
            let told = search(scenario, &table).err()?;
            Some((scenario.name, told))
        });
        let (name, told) =
            caught.unwrap_or_else(|| panic!("nothing notices that {rule:?} is gone"));
        println!("without {rule:?}, {name}: {}", told.lines().last().unwrap());
    }
}

#[test]
fn each_condition_of_the_promise_is_needed() {
    assert_broken(
        "an honest client was taken for a thief",
        &[
            Scenario {
                name: "a rival window that does not exceed a request's life",
                rival_window: 1,
                ..TWO_PROCESSES
            },
            Scenario {
                name: "a rival window that exceeds a request's life, and not the skew as well",
                skew: 1,
                rival_window: 2,
                ..TWO_PROCESSES
            },
            Scenario {
                name: "late writes that do not look at the deadline",
                late_writes: true,
                late_deadline: false,
                ..TWO_PROCESSES
            },
        ],
    );
}

/// `docs/PROTOCOL.md` tells these sequences where it says what is not promised.
#[test]
fn what_is_not_promised_does_happen() {
    assert_broken(
        "an honest client was taken for a thief",
        &[Scenario {
            name: "a database that is restored between two rivals",
            rollback: true,
            ..TWO_PROCESSES
        }],
    );
    assert_broken(
        "the thief rotated after the owner",
        &[Scenario { name: "a database that is restored, a thief", rollback: true, ..THIEF }],
    );
}

/// Shows how each of these worlds breaks its promise.
fn assert_broken(promise: &str, scenarios: &[Scenario]) {
    for scenario in scenarios {
        let told = search(scenario, &Rule::TABLE).expect_err(scenario.name);
        assert!(told.ends_with(promise), "{}:\n  {told}", scenario.name);
        println!("{}:\n  {told}", scenario.name);
    }
}
