//! Each step at its edge, and what holds over random histories of several instances.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy {
    life: Duration::from_secs(1_000),
    lead: Duration::from_secs(100),
    retention: Duration::from_secs(300),
};
const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

fn at(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn key(kid: &str, state: KeyState, since: u64) -> Standing<'_> {
    let promised = Promised::default();
    Standing { kid, state, state_time: at(since), published_since: at(since), promised }
}

#[test]
fn a_key_is_published_so_early_that_it_signs_when_the_lifes_end_comes() {
    let keys = [key("a", KeyState::Active, 0)];
    assert_eq!(due(&keys, at(899), &POLICY), []);
    assert_eq!(due(&keys, at(900), &POLICY), [Step::MakeNext]);
    let keys = [key("b", KeyState::Next, 900), key("a", KeyState::Active, 0)];
    assert_eq!(due(&keys, at(999), &POLICY), []);
    let promote = Step::Promote { next: "b".into(), active: "a".into() };
    assert_eq!(due(&keys, at(1_000), &POLICY), [promote]);
}

#[test]
fn a_key_that_nobody_could_be_told_of_does_not_sign() {
    // It was made while no instance served; this one began to at 5000.
    let next = Standing { published_since: at(5_000), ..key("b", KeyState::Next, 900) };
    let keys = [next, key("a", KeyState::Active, 0)];
    assert_eq!(due(&keys, at(5_099), &POLICY), []);
    assert_eq!(due(&keys, at(5_100), &POLICY).len(), 1);
}

#[test]
fn retired_keys_go_one_by_one_when_their_tokens_have_run_out() {
    let keys = [
        key("c", KeyState::Active, 200),
        key("b", KeyState::Retired, 200),
        key("a", KeyState::Retired, 100),
    ];
    assert_eq!(due(&keys, at(399), &POLICY), []);
    assert_eq!(due(&keys, at(400), &POLICY), [Step::Remove("a".into())]);
    assert_eq!(due(&keys, at(500), &POLICY).len(), 2);
}

#[test]
fn a_lowered_setting_shortens_nothing_that_was_promised() {
    let promised = Promised { lead: 2 * POLICY.lead, retention: 2 * POLICY.retention };
    let lately = |kid, state, since| Standing { promised, ..key(kid, state, since) };
    // What verifiers were told while the one that signs was the newest.
    let keys = [key("b", KeyState::Next, 900), lately("a", KeyState::Active, 0)];
    assert_eq!(due(&keys, at(1_099), &POLICY), []);
    assert_eq!(due(&keys, at(1_100), &POLICY).len(), 1);
    // The next key is made as much earlier.
    assert_eq!(due(&keys[1..], at(799), &POLICY), []);
    assert_eq!(due(&keys[1..], at(800), &POLICY), [Step::MakeNext]);
    // What was signed with the one that retired.
    let keys = [key("b", KeyState::Active, 200), lately("a", KeyState::Retired, 200)];
    assert_eq!(due(&keys, at(799), &POLICY), []);
    assert_eq!(due(&keys, at(800), &POLICY), [Step::Remove("a".into())]);
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_due() {
    let keys = [
        key("c", KeyState::Next, 900),
        key("b", KeyState::Active, 900),
        key("a", KeyState::Retired, 900),
    ];
    assert_eq!(due(&keys, at(0), &POLICY), []);
}

#[test]
fn the_policy_waits_for_whoever_is_slow() {
    let seconds = Duration::from_secs;
    let slowness = Slowness {
        instances: seconds(10),
        clocks: seconds(2),
        request: seconds(7),
        verifiers: seconds(300),
        tokens: seconds(900),
    };
    let policy = Policy::new(seconds(5_000), &slowness);
    let expected = Policy { life: seconds(5_000), lead: seconds(319), retention: seconds(919) };
    assert_eq!(policy, expected);
}

/// What may happen to a table that several instances look after.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    /// An instance reads the table, and publishes what it read.
    Read(usize),
    /// An instance carries out what was due when it read, however long ago that was.
    Act(usize),
    /// An administrator asks an instance for a change.
    Rotate,
    /// The active key is known to others.
    Compromise,
    /// An instance forgets all that it knew.
    Restart(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_u64..400).prop_map(Event::Pass),
        6 => (0..INSTANCES).prop_map(Event::Read),
        6 => (0..INSTANCES).prop_map(Event::Act),
        1 => Just(Event::Rotate),
        1 => Just(Event::Compromise),
        1 => (0..INSTANCES).prop_map(Event::Restart),
    ]
}

const INSTANCES: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    kid: String,
    state: KeyState,
    state_time: Timestamp,
}

#[derive(Clone, Debug, Default)]
struct Instance {
    published: BTreeMap<String, Timestamp>,
    due: Vec<Step>,
}

/// The table, changed as storage changes it.
#[derive(Debug)]
struct Table {
    rows: Vec<Row>,
    made: u32,
    now: Timestamp,
    /// When each key was stored for all to publish, and when it began and ceased to sign.
    stored: BTreeMap<String, Timestamp>,
    began: BTreeMap<String, Timestamp>,
    ceased: BTreeMap<String, Timestamp>,
    /// Those that signed at once.
    urgent: Vec<String>,
    /// Those that went at once.
    withdrawn: Vec<String>,
}

impl Table {
    fn new() -> Self {
        let mut table = Self {
            rows: Vec::new(),
            made: 0,
            now: START,
            stored: BTreeMap::new(),
            began: BTreeMap::new(),
            ceased: BTreeMap::new(),
            urgent: Vec::new(),
            withdrawn: Vec::new(),
        };
        table.insert_urgent();
        table
    }

    fn insert(&mut self, state: KeyState) -> String {
        self.made += 1;
        let kid = format!("key {}", self.made);
        self.rows.push(Row { kid: kid.clone(), state, state_time: self.now });
        self.stored.insert(kid.clone(), self.now);
        kid
    }

    fn insert_urgent(&mut self) {
        let kid = self.insert(KeyState::Active);
        self.began.insert(kid.clone(), self.now);
        self.urgent.push(kid);
    }

    fn of(&self, state: KeyState) -> Option<usize> {
        self.rows.iter().position(|row| row.state == state)
    }

    fn is(&self, kid: &str, state: KeyState) -> bool {
        self.rows.iter().any(|row| row.kid == kid && row.state == state)
    }

    fn set(&mut self, kid: &str, state: KeyState) {
        let row = self.rows.iter_mut().find(|row| row.kid == kid).unwrap();
        (row.state, row.state_time) = (state, self.now);
    }

    fn make_next(&mut self) {
        if self.of(KeyState::Next).is_none() {
            self.insert(KeyState::Next);
        }
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::MakeNext => self.make_next(),
            Step::Promote { next, active } => {
                if self.is(&next, KeyState::Next) && self.is(&active, KeyState::Active) {
                    self.set(&active, KeyState::Retired);
                    self.set(&next, KeyState::Active);
                    self.began.insert(next, self.now);
                    self.ceased.insert(active, self.now);
                }
            }
            Step::Remove(kid) => {
                self.rows.retain(|row| row.kid != kid || row.state != KeyState::Retired);
            }
        }
    }

    fn compromise(&mut self) {
        let gone: Vec<_> = self
            .rows
            .iter()
            .filter(|row| row.state != KeyState::Retired)
            .map(|row| row.kid.clone())
            .collect();
        self.rows.retain(|row| row.state == KeyState::Retired);
        self.withdrawn.extend(gone);
        self.insert_urgent();
    }

    fn check(&self) {
        let active = self.rows.iter().filter(|row| row.state == KeyState::Active).count();
        assert_eq!(active, 1, "one key signs: {self:?}");
        for (kid, began) in &self.began {
            let published = began.saturating_since(self.stored[kid]);
            let early = published < POLICY.lead && !self.urgent.contains(kid);
            assert!(!early, "{kid} signed {published:?} after it was stored: {self:?}");
        }
        for kid in self.stored.keys().filter(|kid| !self.rows.iter().any(|row| row.kid == **kid)) {
            let kept = self.ceased.get(kid).map(|ceased| self.now.saturating_since(*ceased));
            let early = kept.is_none_or(|kept| kept < POLICY.retention);
            assert!(!early || self.withdrawn.contains(kid), "{kid} went after {kept:?}: {self:?}");
        }
    }
}

fn read(instance: &mut Instance, table: &Table) {
    let known = std::mem::take(&mut instance.published);
    let since = |row: &Row| known.get(&row.kid).copied().unwrap_or(table.now);
    instance.published = table.rows.iter().map(|row| (row.kid.clone(), since(row))).collect();
    let standing: Vec<_> = table
        .rows
        .iter()
        .map(|row| Standing {
            kid: &row.kid,
            state: row.state,
            state_time: row.state_time,
            published_since: instance.published[&row.kid],
            promised: Promised::default(),
        })
        .collect();
    instance.due = due(&standing, table.now, &POLICY);
}

proptest! {
    #[test]
    fn one_key_signs_that_all_were_told_of_and_goes_when_its_tokens_are_gone(
        history in prop::collection::vec(event(), 1..200),
    ) {
        let mut table = Table::new();
        let mut instances = vec![Instance::default(); INSTANCES];
        for event in history {
            match event {
                Event::Pass(seconds) => table.now = table.now + Duration::from_secs(seconds),
                Event::Read(instance) => read(&mut instances[instance], &table),
                Event::Act(instance) => {
                    for step in std::mem::take(&mut instances[instance].due) {
                        if let Step::Promote { next, .. } = &step {
                            let since = instances[instance].published[next];
                            prop_assert!(table.now.saturating_since(since) >= POLICY.lead);
                        }
                        table.carry_out(step);
                    }
                }
                Event::Rotate => table.make_next(),
                Event::Compromise => table.compromise(),
                Event::Restart(instance) => instances[instance] = Instance::default(),
            }
            table.check();
        }
    }

    #[test]
    fn a_table_that_is_looked_after_comes_to_rest_and_never_stands_still(
        steps in prop::collection::vec(1_u64..50, 400),
    ) {
        let mut table = Table::new();
        let mut instance = Instance::default();
        for seconds in steps {
            table.now = table.now + Duration::from_secs(seconds);
            read(&mut instance, &table);
            for step in std::mem::take(&mut instance.due) {
                table.carry_out(step);
            }
            table.check();
            let active = &table.rows[table.of(KeyState::Active).unwrap()];
            let signed = table.now.saturating_since(active.state_time);
            // Each step is seen up to 50 s late: that it is due, and what is due after it.
            prop_assert!(signed <= POLICY.life + Duration::from_secs(150), "{table:?}");
            prop_assert!(table.rows.len() <= 3, "{table:?}");
        }
    }
}
