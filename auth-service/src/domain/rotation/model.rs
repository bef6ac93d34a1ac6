//! An exhaustive search of what can happen between clients, a network and the very function that
//! decides in production: every order of sends, deliveries, losses, copies and faults, within the
//! bounds of each [`Scenario`]. `docs/PROTOCOL.md` says what was searched.
//!
//! A broken invariant is reported with the shortest sequence of steps that leads there.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use token::{Nonce, clock::Timestamp};

use super::{Attempt, Decision, Head, Policy, Presented, Row, Successors, decide_by, table::Rule};

/// A unit of the model's time: the reuse grace is one of them, the rival window two.
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
    /// Requests in flight at a time.
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
    thief_sends: u8,
    revocation: bool,
    idle_ticks: i64,
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
    thief_sends: 0,
    revocation: false,
    idle_ticks: 1_000,
};

const SCENARIOS: [Scenario; 11] = [
    Scenario { name: "loss, copies and any delay", ..BASE },
    Scenario { name: "a database that is restored", rollback: true, ticks: 0, ..BASE },
    Scenario { name: "a row that is gone", missing_row: true, ticks: 0, ..BASE },
    Scenario { name: "a key ring that is rotated", ring_rotation: true, ticks: 0, ..BASE },
    Scenario { name: "a clock that is set back", clock_back: 3, generations: 3, ..BASE },
    Scenario { name: "a clock that stands still", clock_frozen: true, generations: 3, ..BASE },
    Scenario {
        name: "two processes on one store",
        processes: 2,
        loss: false,
        life: Some(1),
        generations: 3,
        ..BASE
    },
    Scenario {
        name: "a client without keys, within its grace",
        keyed: false,
        copies: 0,
        in_flight: 1,
        ticks: 0,
        ..BASE
    },
    Scenario {
        name: "a thief",
        thief_sends: 3,
        copies: 0,
        in_flight: 1,
        life: Some(1),
        generations: 3,
        ..BASE
    },
    Scenario { name: "a revocation", revocation: true, ticks: 0, generations: 3, ..BASE },
    Scenario { name: "an idle end", idle_ticks: 2, generations: 2, in_flight: 1, ..BASE },
];

/// A refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Token {
    head: Head,
    issued: i64,
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
    rotated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// True time, in ticks, and what the server's clock shows.
    now: i64,
    clock: i64,
    row: Option<Row>,
    backup: Option<Row>,
    restored: bool,
    ring: u8,
    owner: Shop,
    /// Whether the owner has rotated the token that was stolen, or a later one.
    owner_rotated_stolen: bool,
    thief: Option<Thief>,
    thief_sends: u8,
    requests: Vec<Sent>,
    answers: Vec<(usize, Attempted, Answer)>,
    copies: u8,
    keys: u8,
    turned_back: bool,
    revoked_by_owner: bool,
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive { request: usize, a_copy_stays: bool },
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
    ThiefSends { keyed: bool, flagged: bool },
    TimePasses,
}

/// What is wrong with a state.
type Broken = String;

/// The successors of an attempt: readable nonces, under the ring's live keys.
#[derive(Debug)]
struct Derived {
    key: u8,
    ring: u8,
}

impl Successors for Derived {
    fn nonces(&self, generation: u64) -> Box<dyn Iterator<Item = Nonce> + '_> {
        // The newest key of the ring signs, the older ones are live too.
        Box::new((0..=self.ring).rev().map(move |ring| nonce(1 + ring, self.key, generation)))
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
        let token = Token { head: Head::new(0, nonce(0, 0, 0)), issued: 0 };
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
        let more = state.requests.len() < scenario.in_flight
            && !state.owner.signed_out
            && state.owner.token.head.generation < scenario.generations;
        for process in 0..scenario.processes {
            // Where nothing is lost, nothing is repeated.
            let repeats = scenario.loss || state.owner.pending[process].is_none();
            may(more && repeats, Step::Send { process });
        }
        for request in 0..state.requests.len() {
            may(scenario.loss, Step::LoseRequest { request });
            let room = state.answers.len() < scenario.in_flight;
            may(room, Step::Arrive { request, a_copy_stays: false });
            let copies = room && state.copies < scenario.copies;
            may(copies, Step::Arrive { request, a_copy_stays: true });
        }
        for answer in 0..state.answers.len() {
            may(true, Step::Hear { answer });
            may(scenario.loss, Step::LoseAnswer { answer });
        }
        may(scenario.thief_sends > 0 && state.thief.is_none(), Step::Steal);
        let thief = state.thief.is_some() && state.thief_sends < scenario.thief_sends;
        for (keyed, flagged) in [(true, false), (true, true), (false, false), (false, true)] {
            may(thief, Step::ThiefSends { keyed, flagged });
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
            Step::Arrive { request, a_copy_stays } => {
                let sent = next.requests[request];
                if a_copy_stays {
                    next.copies += 1;
                } else {
                    next.requests.remove(request);
                }
                let answer = self.serve(&mut next, &sent.attempt, false)?;
                next.answers.push((sent.process, sent.attempt, answer));
            }
            Step::Hear { answer } => {
                let (process, attempt, answer) = next.answers.remove(answer);
                self.hear(&mut next, process, &attempt, answer)?;
            }
            Step::LoseAnswer { answer } => drop(next.answers.remove(answer)),
            Step::Steal => {
                let token = next.owner.token;
                let stolen = token.head.generation;
                next.thief = Some(Thief { token, stolen, rotated: false });
            }
            Step::ThiefSends { keyed, flagged } => self.thief_sends(&mut next, keyed, flagged)?,
        }
        next.requests.sort();
        next.answers.sort();
        Ok(next)
    }

    /// What an owner's process does: repeats the attempt that the store holds, or makes a new one
    /// and writes it down before it sends.
    fn send(&self, state: &mut State, process: usize) {
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
                if state.owner.token == attempt.token {
                    // The store holds nothing newer: once more, with a new key, and say so. A
                    // process whose rival is still waiting for an answer waits with it.
                    let rival = state.owner.pending.iter().flatten().next().copied();
                    state.keys += 1;
                    let key = Some(state.keys);
                    let anew = Attempted { key, flagged: true, ..*attempt };
                    state.owner.pending[process] = Some(rival.unwrap_or(anew));
                    if rival.is_some() {
                        state.owner.superseded[process] = 0;
                    }
                } else {
                    state.owner.superseded[process] = 0;
                }
            }
            Answer::Over => state.owner.signed_out = true,
        }
        Ok(())
    }

    /// A thief uses what he stole as he likes; his network never fails.
    fn thief_sends(&self, state: &mut State, keyed: bool, flagged: bool) -> Result<(), Broken> {
        let Some(thief) = state.thief else { return Ok(()) };
        state.thief_sends += 1;
        let key = keyed.then_some(200 + state.thief_sends);
        let attempt = Attempted { token: thief.token, key, flagged };
        if let Answer::Pair(token) = self.serve(state, &attempt, true)? {
            state.thief = Some(Thief { token, rotated: true, ..thief });
        }
        Ok(())
    }

    /// Decides as production does, and holds the decision against the invariants.
    fn serve(
        &self,
        state: &mut State,
        attempt: &Attempted,
        by_thief: bool,
    ) -> Result<Answer, Broken> {
        let derived = attempt.key.map(|key| Derived { key, ring: state.ring });
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
        let now = at(state.clock);
        let was_revoked = state.row.as_ref().is_some_and(|row| row.revoked);
        let decision = loop {
            let row = state.row.as_ref();
            let decision = decide_by(self.table, &presented, row, &self.policy, now);
            match decision.unwrap_or(Decision::Superseded) {
                Decision::Recreate => {
                    let mut row = Row::first(
                        presented.nonce,
                        presented.issued_at,
                        presented.idle_until(&self.policy),
                        presented.expires_at,
                    );
                    row.generation = presented.generation;
                    state.row = Some(row);
                }
                decision => break decision,
            }
        };
        let row = state.row.clone().expect("a row that was missing has been made again");
        let ended = now >= row.idle_until.max(presented.idle_until(&self.policy));
        let answer = match &decision {
            Decision::Rotate(to) => {
                self.check_rotation(state, &presented, by_thief)?;
                state.row = Some(row.rotated(to, now, &self.policy));
                self.newest(state)
            }
            Decision::Adopt { successor: to, .. } => {
                self.check_rotation(state, &presented, by_thief)?;
                state.row = Some(row.adopted(presented.nonce, to, now, &self.policy));
                self.newest(state)
            }
            Decision::Repeat => {
                if by_thief && state.owner_rotated_stolen {
                    return Err("the thief was given the owner's successor".into());
                }
                self.newest(state)
            }
            Decision::Superseded => Answer::Superseded,
            Decision::Reused { .. } => {
                if state.thief.is_none() {
                    return Err("an honest client was taken for a thief".into());
                }
                let mut row = row;
                row.revoked = true;
                state.row = Some(row);
                Answer::Over
            }
            Decision::Expired => {
                if !ended {
                    return Err("a session ended before its token's promise".into());
                }
                Answer::Over
            }
            Decision::Revoked => Answer::Over,
            Decision::Unknown | Decision::Recreate => {
                return Err(format!("{decision:?} is no answer"));
            }
        };
        if was_revoked && answer != Answer::Over {
            return Err("a revoked session answered".into());
        }
        if ended && matches!(answer, Answer::Pair(_)) {
            return Err("an ended session rotated".into());
        }
        self.check_catch(state, &presented, &answer, by_thief)?;
        Ok(answer)
    }

    /// The newest token of the row, as a client would hold it.
    fn newest(&self, state: &State) -> Answer {
        let row = state.row.as_ref().expect("a rotated row is there");
        let issued = row.rotated_at.unix_seconds() - EPOCH.unix_seconds();
        let ticks = i64::try_from(TICK.as_secs()).unwrap();
        Answer::Pair(Token { head: row.head(), issued: issued.div_euclid(ticks) })
    }

    /// Owner and thief never both rotate what was stolen.
    fn check_rotation(
        &self,
        state: &mut State,
        presented: &Presented<'_>,
        by_thief: bool,
    ) -> Result<(), Broken> {
        let Some(thief) = &state.thief else { return Ok(()) };
        if by_thief && state.owner_rotated_stolen {
            return Err("the thief rotated after the owner".into());
        }
        if !by_thief && thief.rotated {
            return Err("the owner rotated after the thief: the theft went unnoticed".into());
        }
        state.owner_rotated_stolen |= !by_thief && presented.generation >= thief.stolen;
        Ok(())
    }

    /// A thief who comes second and cannot pass for a rival is caught there and then.
    fn check_catch(
        &self,
        state: &State,
        presented: &Presented<'_>,
        answer: &Answer,
        by_thief: bool,
    ) -> Result<(), Broken> {
        let row = state.row.as_ref().expect("a decided row is there");
        let since = at(state.clock).saturating_since(row.rotated_at);
        let rival = matches!(presented.attempt, Attempt::Keyed(_))
            && since < self.policy.rival_window
            && !presented.after_superseded;
        if by_thief && state.owner_rotated_stolen && !rival && *answer != Answer::Over {
            return Err("a spent token came back and nothing happened".into());
        }
        Ok(())
    }
}

/// Searches all that can happen, and gives back the number of states, or the shortest way to a
/// broken invariant.
fn search(scenario: &Scenario, table: &[Rule]) -> Result<usize, String> {
    let idle_life = TICK * u32::try_from(scenario.idle_ticks).unwrap();
    let policy = Policy::new(idle_life, TICK, TICK * 2, true);
    let model = Model { scenario, table, policy };
    let start = Rc::new(model.start());
    let mut seen: HashMap<Rc<State>, Option<(Rc<State>, Step)>> = HashMap::new();
    let mut queue = VecDeque::from([Rc::clone(&start)]);
    seen.insert(start, None);
    while let Some(state) = queue.pop_front() {
        for step in model.steps(&state) {
            match model.take(&state, step) {
                Ok(next) => {
                    let next = Rc::new(next);
                    if !seen.contains_key(&next) {
                        seen.insert(Rc::clone(&next), Some((Rc::clone(&state), step)));
                        queue.push_back(next);
                    }
                }
                Err(broken) => return Err(told(&seen, &state, step, &broken)),
            }
        }
    }
    Ok(seen.len())
}

/// The steps that led to a broken invariant, one a line.
fn told(
    seen: &HashMap<Rc<State>, Option<(Rc<State>, Step)>>,
    state: &Rc<State>,
    last: Step,
    broken: &str,
) -> String {
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
        // From the smallest worlds to the largest.
        let caught = SCENARIOS.iter().rev().find_map(|scenario| {
            let told = search(scenario, &table).err()?;
            Some((scenario.name, told))
        });
        let (name, told) =
            caught.unwrap_or_else(|| panic!("nothing notices that {rule:?} is gone"));
        println!("without {rule:?}, {name}: {}", told.lines().last().unwrap());
    }
}
