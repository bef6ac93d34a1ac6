//! What an instance holds while others change the database, on a real one.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use tempfile::TempDir;
use token::{MasterKey, clock::ManualClock, entropy::SeededEntropy};
use uuid::Uuid;

use super::*;
use crate::{
    domain::audit::{AuditEvent, EventKind},
    storage::{
        sqlite::SqliteStore,
        store::{KeyStore as _, Withdrawal},
    },
};

const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);
const MAX_AGE: Duration = Duration::from_secs(300);
const POLICY: signing_keys::Policy = signing_keys::Policy {
    life: Duration::from_secs(10_000),
    lead: Duration::from_secs(400),
    retention: Duration::from_secs(1_000),
};

struct Instance {
    clock: Arc<ManualClock>,
    store: SqliteStore,
    master: MasterKeys,
    keys: SigningKeys,
    ring: PathBuf,
    _dir: TempDir,
}

impl Instance {
    async fn start() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let dir = TempDir::new().unwrap();
        let ring = dir.path().join("master.keys");
        fs::write(&ring, line(1)).unwrap();
        let store = SqliteStore::open(dir.path(), clock.clone()).await.unwrap();
        let entropy = SeededEntropy::new(1);
        let master = MasterKeys::open(&ring, false, clock.clone(), &entropy).unwrap();
        let keys = open_keys(&store, &master, &clock).await;
        Self { clock, store, master, keys, ring, _dir: dir }
    }

    /// Another instance, whose ring is this one, makes the key that signs next.
    async fn make_next(&self, ring: &str) -> String {
        static MADE: AtomicU64 = AtomicU64::new(7);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let key = new_key(&KeyRing::parse(ring).unwrap(), &SeededEntropy::new(made));
        let event = event(u128::from(made) + 100);
        assert!(self.store.insert_next_key(&key, &event).await.unwrap());
        key.kid
    }

    async fn look(&self) -> Vec<Step> {
        let (stored, now) = self.store.signing_keys().await.unwrap();
        self.keys.take_over(&stored, now, self.clock.now(), &self.master).await.unwrap()
    }

    async fn retired(&self) -> String {
        let (stored, _) = self.store.signing_keys().await.unwrap();
        let retired = stored.into_iter().find(|stored| stored.state == KeyState::Retired);
        retired.unwrap().key.kid
    }

    fn signs_with(&self) -> String {
        self.keys.signer(self.clock.now()).map_or_else(String::new, |key| key.public().kid().into())
    }

    fn publishes(&self, kid: &str) -> bool {
        let (keys, _) = self.keys.published(self.clock.now());
        keys.iter().any(|key| key.kid() == kid) && self.keys.trusted().contains(kid)
    }
}

async fn open_keys(store: &SqliteStore, master: &MasterKeys, clock: &ManualClock) -> SigningKeys {
    open_keys_of(store, master, clock, POLICY).await
}

async fn open_keys_of(
    store: &SqliteStore,
    master: &MasterKeys,
    clock: &ManualClock,
    policy: signing_keys::Policy,
) -> SigningKeys {
    let entropy = SeededEntropy::new(2);
    SigningKeys::open(store, master, &entropy, clock, policy, MAX_AGE).await.unwrap()
}

fn line(seed: u64) -> String {
    MasterKey::generate(&SeededEntropy::new(seed)).to_line().to_string()
}

fn event(n: u128) -> AuditEvent {
    AuditEvent {
        id: Uuid::from_u128(n),
        time: START,
        kind: EventKind::SigningKeyMade,
        account: None,
        actor: None,
        session: None,
        address: None,
        device: String::new(),
        detail: String::new(),
    }
}

#[tokio::test]
async fn a_key_that_another_instance_made_is_published_and_then_signs() {
    let instance = Instance::start().await;
    let first = instance.signs_with();
    assert_eq!(instance.look().await, []);
    let next = instance.make_next(&line(1)).await;
    assert_eq!(instance.look().await, []);
    assert!(instance.publishes(&next) && instance.publishes(&first));
    assert!(instance.keys.can_sign_with(&next));
    assert!(instance.store.promote_key(&next, &first, &event(2)).await.unwrap());
    instance.look().await;
    assert_eq!(instance.signs_with(), next);
    assert!(instance.publishes(&next) && instance.publishes(&first));
    assert!(!instance.keys.can_sign_with(&next), "it is not waiting any more");
}

#[tokio::test]
async fn a_key_that_was_made_while_nothing_served_is_promoted_when_it_was_published_for_the_lead() {
    let instance = Instance::start().await;
    let (next, active) = (instance.make_next(&line(1)).await, instance.signs_with());
    instance.clock.advance(2 * POLICY.lead);
    // The service starts.
    let keys = open_keys(&instance.store, &instance.master, &instance.clock).await;
    let instance = Instance { keys, ..instance };
    assert_eq!(instance.look().await, []);
    instance.clock.advance(POLICY.lead);
    assert_eq!(instance.look().await, [Step::Promote { next, active }]);
}

/// Verifiers keep keys for as long as they were told before, and tokens of before live as long.
#[tokio::test]
async fn settings_that_are_lowered_across_a_restart_shorten_nothing_that_was_promised() {
    let instance = Instance::start().await;
    let first = instance.signs_with();
    let lowered =
        signing_keys::Policy { lead: POLICY.lead / 10, retention: POLICY.retention / 10, ..POLICY };
    let keys = open_keys_of(&instance.store, &instance.master, &instance.clock, lowered).await;
    let instance = Instance { keys, ..instance };
    let next = instance.make_next(&line(1)).await;
    assert_eq!(instance.look().await, []);
    instance.clock.advance(POLICY.lead - Duration::from_millis(1));
    assert_eq!(instance.look().await, []);
    instance.clock.advance(Duration::from_millis(1));
    let promote = Step::Promote { next: next.clone(), active: first.clone() };
    assert_eq!(instance.look().await, [promote]);
    assert!(instance.store.promote_key(&next, &first, &event(2)).await.unwrap());
    instance.clock.advance(POLICY.retention - Duration::from_millis(1));
    assert_eq!(instance.look().await, []);
    assert!(instance.publishes(&first));
    instance.clock.advance(Duration::from_millis(1));
    assert_eq!(instance.look().await, [Step::Remove(first)]);

    // Once it has signed long enough for the lowered settings, they are what counts.
    let second = instance.make_next(&line(1)).await;
    assert!(instance.store.remove_retired_key(&instance.retired().await).await.unwrap());
    instance.look().await;
    instance.clock.advance(lowered.lead);
    let promote = Step::Promote { next: second, active: next };
    assert_eq!(instance.look().await, [promote]);
}

#[tokio::test]
async fn a_key_of_a_newer_ring_makes_the_ring_be_read_again() {
    let instance = Instance::start().await;
    fs::write(&instance.ring, format!("{}\n{}", line(2), line(1))).unwrap();
    let next = instance.make_next(&line(2)).await;
    instance.look().await;
    assert!(instance.keys.can_sign_with(&next));
}

#[tokio::test]
async fn a_key_that_no_ring_opens_is_published_and_the_one_in_memory_signs_for_a_moment_more() {
    let instance = Instance::start().await;
    let first = instance.signs_with();
    let next = instance.make_next(&line(2)).await;
    for _ in 0..2 {
        instance.look().await;
        assert!(instance.publishes(&next));
        assert!(!instance.keys.can_sign_with(&next));
    }
    assert!(instance.store.promote_key(&next, &first, &event(2)).await.unwrap());
    // The retention counts on that.
    let last = STALE_AFTER - Duration::from_millis(1);
    for (after, signs) in [(Duration::ZERO, &*first), (last, &*first), (STALE_AFTER, "")] {
        instance.clock.set(START + after);
        instance.look().await;
        assert_eq!(instance.signs_with(), signs, "{after:?}");
        assert!(instance.publishes(&next) && instance.publishes(&first));
    }
    // The ring is mended: nothing else needs to be done.
    fs::write(&instance.ring, format!("{}\n{}", line(2), line(1))).unwrap();
    instance.clock.advance(Duration::from_secs(5));
    instance.look().await;
    assert_eq!(instance.signs_with(), next);
}

#[tokio::test]
async fn a_key_that_was_withdrawn_signs_no_more_whether_or_not_its_successor_can_be_opened() {
    let instance = Instance::start().await;
    let first = instance.signs_with();
    let key = new_key(&KeyRing::parse(&line(2)).unwrap(), &SeededEntropy::new(7));
    let withdrawn = instance.store.replace_known_key(&first, &key, &event(1)).await.unwrap();
    assert_eq!(withdrawn, Withdrawal::Done);
    instance.look().await;
    assert_eq!(instance.signs_with(), "");
}

#[tokio::test]
async fn keys_that_could_not_be_read_for_a_while_sign_nothing() {
    let instance = Instance::start().await;
    let first = instance.signs_with();
    instance.clock.advance(STALE_AFTER);
    assert_eq!(instance.signs_with(), "");
    instance.look().await;
    assert_eq!(instance.signs_with(), first);
}

#[tokio::test]
async fn keys_that_could_not_be_read_again_are_not_to_be_kept() {
    let instance = Instance::start().await;
    let max_age = |after| instance.keys.published(START + Duration::from_secs(after)).1;
    assert_eq!((max_age(0), max_age(9)), (MAX_AGE, MAX_AGE));
    assert_eq!((max_age(10), max_age(3_600)), (STALE_MAX_AGE, STALE_MAX_AGE));
    instance.clock.advance(Duration::from_secs(3_600));
    instance.look().await;
    assert_eq!(max_age(3_600), MAX_AGE);
}

#[tokio::test]
async fn a_table_without_a_key_that_signs_is_not_taken_over() {
    let instance = Instance::start().await;
    let first = instance.signs_with();
    let taken = instance.keys.take_over(&[], START, START, &instance.master).await;
    assert!(matches!(taken, Err(KeysError::Storage { .. })));
    assert!(instance.publishes(&first));
}
