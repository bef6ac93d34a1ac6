//! The reader and its followers, against a database that does as it is told, in paused time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use token::{
    clock::{Clock, Timestamp},
    entropy::SeededEntropy,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    Batch, Feed, Following,
    feed::MOST_OF_ONE,
    following::MOST_ENTRIES,
    progress::{LONGEST_SILENCE, LONGEST_WRITE, WHOLE_EVERY},
};
use crate::{
    app::{callers::AuthenticatedService, error::AppError},
    domain::{
        audit::{AuditEvent, EventKind},
        id::{ServiceId, SessionId, UserId},
        revocation::{Revocation, Revoked},
        secret::Username,
        service_account::{NewServiceAccount, SecretHash, ServiceAccount},
        user::{LastAdmin, Role, Status},
    },
    storage::{
        error::StoreError,
        memory::{MemoryDatabase, MemoryStore},
        revocations::RevocationStore,
        store::ServiceStore as _,
    },
};

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ACCESS: Duration = Duration::from_secs(900);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A clock that goes with tokio's.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        START + self.0.elapsed()
    }
}

/// A database of revocations alone.
#[derive(Debug)]
struct Script {
    clock: PausedClock,
    rows: Mutex<BTreeMap<Revoked, Timestamp>>,
    bell: watch::Sender<()>,
    fails: Mutex<bool>,
    readings: Mutex<u32>,
    /// How many of them were of all there is.
    wholes: Mutex<u32>,
    /// How long a reading takes of all there is, and one of what is new.
    takes: Mutex<(Duration, Duration)>,
}

impl Script {
    fn new() -> Self {
        Self {
            clock: PausedClock(Instant::now()),
            rows: Mutex::default(),
            bell: watch::Sender::new(()),
            fails: Mutex::default(),
            readings: Mutex::default(),
            wholes: Mutex::default(),
            takes: Mutex::default(),
        }
    }

    /// Makes readings slow. What they tell is what there was when they began.
    fn slow_down(&self, all: Duration, newest: Duration) {
        *self.takes.lock().unwrap() = (all, newest);
    }

    /// A commit of what took its instant `age` ago. Nobody is told.
    fn commit(&self, what: Revoked, age: Duration) {
        self.rows.lock().unwrap().insert(what, self.clock.now() - age);
    }

    /// One that is done at once, and told of.
    fn revoke(&self, what: Revoked) {
        self.commit(what, Duration::ZERO);
        self.bell.send_replace(());
    }

    /// Sets the database back to when there was none of this.
    fn forget(&self, what: Revoked) {
        self.rows.lock().unwrap().remove(&what);
    }

    fn fail(&self, fails: bool) {
        *self.fails.lock().unwrap() = fails;
    }

    fn readings(&self) -> u32 {
        *self.readings.lock().unwrap()
    }
}

#[async_trait]
impl RevocationStore for Script {
    async fn set_roles(
        &self,
        _: UserId,
        _: &[Role],
        _: LastAdmin,
        _: &AuditEvent,
    ) -> Result<bool, StoreError> {
        unreachable!("a reader changes nothing")
    }

    async fn revocations_since(
        &self,
        since: Timestamp,
        life: Duration,
    ) -> Result<(Vec<Revocation>, Timestamp), StoreError> {
        *self.readings.lock().unwrap() += 1;
        *self.wholes.lock().unwrap() += u32::from(since == Timestamp::UNIX_EPOCH);
        if *self.fails.lock().unwrap() {
            return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut));
        }
        let now = self.clock.now();
        let rows = self.rows.lock().unwrap().clone();
        let (all, newest) = *self.takes.lock().unwrap();
        sleep(if since == Timestamp::UNIX_EPOCH { all } else { newest }).await;
        let since = since.max(now - life);
        let rows = rows.into_iter().map(|(what, at)| Revocation { what, at });
        Ok((rows.filter(|one| one.at >= since).collect(), now))
    }

    fn revoked(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }
}

struct World {
    script: Arc<Script>,
    /// Has the accounts of whoever follows.
    services: Arc<MemoryStore>,
    feed: Arc<Feed>,
}

impl World {
    /// With a reader, which ends with the test's runtime.
    fn new() -> Self {
        let script = Arc::new(Script::new());
        let feed = Arc::new(Feed::new(ACCESS));
        let (reader, store) = (Arc::clone(&feed), Arc::clone(&script));
        tokio::spawn(async move {
            reader.keep_reading(&*store, &SeededEntropy::new(1)).await;
        });
        let clock = Arc::new(PausedClock(script.clock.0));
        let services = Arc::new(MemoryStore::open(&MemoryDatabase::new(), clock));
        Self { script, services, feed }
    }

    fn follow(&self, cursor: &str) -> Following {
        self.follow_until(cursor, START + Duration::from_secs(1_000_000))
    }

    fn follow_until(&self, cursor: &str, until: Timestamp) -> Following {
        self.try_follow(cursor, service(), until).unwrap()
    }

    fn try_follow(
        &self,
        cursor: &str,
        account: ServiceAccount,
        until: Timestamp,
    ) -> Result<Following, AppError> {
        let clock = Arc::new(PausedClock(self.script.clock.0));
        let caller = AuthenticatedService { account, roles_version: 0, expires_at: until };
        self.feed.follow(cursor, caller, self.services.clone(), clock)
    }
}

/// Who follows.
fn service() -> ServiceAccount {
    ServiceAccount {
        id: ServiceId(Uuid::from_u128(7)),
        secret: SecretHash([0; 32]),
        replaced_secrets: Vec::new(),
        status: Status::Active,
        roles: Vec::new(),
        roles_version: 0,
    }
}

fn session(n: u128) -> Revoked {
    Revoked::Session(SessionId(Uuid::from_u128(n)))
}

fn roles(n: u128, version: u32) -> Revoked {
    Revoked::Roles { holder: Uuid::from_u128(n), version }
}

async fn next(following: &mut Following) -> Batch {
    following.next().await.expect("the feed is open").expect("its time is not up")
}

/// The next batch that says something, and how long it took to come.
async fn told(following: &mut Following) -> (Batch, Duration) {
    let began = Instant::now();
    loop {
        let batch = next(following).await;
        if batch.snapshot || !batch.revocations.is_empty() {
            return (batch, began.elapsed());
        }
    }
}

fn subjects(batch: &Batch) -> Vec<Revoked> {
    batch.revocations.iter().map(|told| told.what).collect()
}

/// What is told from now on for so long.
async fn told_for(following: &mut Following, time: Duration) -> Vec<Batch> {
    let mut batches = Vec::new();
    let end = Instant::now() + time;
    while let Ok(batch) = timeout(end - Instant::now(), next(following)).await {
        batches.push(batch);
    }
    batches
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_comes_first_and_then_each_revocation_at_once() {
    let world = World::new();
    world.script.commit(session(1), Duration::from_secs(60));
    let mut following = world.follow("");
    let first = next(&mut following).await;
    assert!(first.snapshot && !first.cursor.is_empty());
    assert_eq!(subjects(&first), [session(1)]);
    for n in 2..10 {
        sleep(Duration::from_millis(1_234)).await;
        world.script.revoke(session(n));
        let (batch, waited) = told(&mut following).await;
        assert_eq!((batch.snapshot, subjects(&batch)), (false, vec![session(n)]));
        assert_eq!(waited, Duration::ZERO);
    }
    // What nothing tells of is found by looking.
    world.script.commit(session(10), Duration::ZERO);
    let (batch, waited) = told(&mut following).await;
    assert_eq!(subjects(&batch), [session(10)]);
    assert!(waited <= LONGEST_SILENCE, "{waited:?}");
}

/// Fault 61: the write took its instant first and committed last.
#[tokio::test(start_paused = true)]
async fn a_revocation_that_commits_late_is_told_as_soon_as_any_other() {
    let world = World::new();
    let mut following = world.follow("");
    next(&mut following).await;
    for (n, seconds) in (1..).zip([1, 5, 10, 14]) {
        let age = Duration::from_secs(seconds);
        // A later one has been told by then.
        world.script.revoke(session(100 + n));
        let (batch, _) = told(&mut following).await;
        assert_eq!(subjects(&batch), [session(100 + n)]);
        world.script.commit(session(n), age);
        let (batch, waited) = told(&mut following).await;
        assert_eq!(subjects(&batch), [session(n)]);
        assert!(waited <= LONGEST_SILENCE, "{waited:?}");
    }
    // Nor do others that wake the reader all the time keep it from being found.
    world.script.commit(session(50), Duration::from_secs(10));
    let began = Instant::now();
    let mut found = false;
    while !found {
        world.script.bell.send_replace(());
        let woken = timeout(Duration::from_millis(10), next(&mut following)).await;
        found = woken.is_ok_and(|batch| subjects(&batch) == [session(50)]);
        assert!(began.elapsed() <= LONGEST_SILENCE + Duration::from_millis(20));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_again_and_again_is_told_once() {
    let world = World::new();
    let mut following = world.follow("");
    next(&mut following).await;
    world.script.revoke(session(1));
    world.script.revoke(roles(1, 1));
    let batches = told_for(&mut following, 2 * WHOLE_EVERY).await;
    let all: Vec<_> = batches.iter().flat_map(subjects).collect();
    assert_eq!(all, [roles(1, 1), session(1)]);
    assert!(batches.iter().all(|batch| !batch.snapshot));
    // A newer count replaces the older one, also in what a later follower is told.
    world.script.forget(roles(1, 1));
    world.script.revoke(roles(1, 2));
    assert_eq!(subjects(&told(&mut following).await.0), [roles(1, 2)]);
    let (batch, _) = told(&mut world.follow("")).await;
    assert_eq!(subjects(&batch), [session(1), roles(1, 2)]);
}

/// Fault 61: the database was set back under a running process.
#[tokio::test(start_paused = true)]
async fn a_database_that_was_set_back_gives_everybody_a_new_snapshot() {
    let world = World::new();
    let mut following = world.follow("");
    next(&mut following).await;
    for revoked in [session(1), session(2), roles(3, 2)] {
        world.script.revoke(revoked);
    }
    let (before, _) = told(&mut following).await;
    assert_eq!(before.revocations.len(), 3);

    world.script.forget(session(2));
    world.script.forget(roles(3, 2));
    world.script.commit(roles(3, 1), Duration::from_secs(20));
    let (after, waited) = told(&mut following).await;
    assert!(after.snapshot && waited <= WHOLE_EVERY + LONGEST_SILENCE, "{waited:?}");
    assert_eq!(subjects(&after), [roles(3, 1), session(1)]);
    // A cursor from before it.
    let (resumed, _) = told(&mut world.follow(&before.cursor)).await;
    assert!(resumed.snapshot);
    assert_eq!(subjects(&resumed), subjects(&after));

    // A database that did not answer is looked at as a whole as soon as it does.
    world.script.forget(session(1));
    world.script.fail(true);
    sleep(Duration::from_secs(1)).await;
    world.script.fail(false);
    let (after, waited) = told(&mut following).await;
    assert!(after.snapshot && waited <= LONGEST_SILENCE, "{waited:?}");
    assert_eq!(subjects(&after), [roles(3, 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_no_good_token_contradicts_is_forgotten() {
    let world = World::new();
    let mut following = world.follow("");
    let first = next(&mut following).await;
    sleep(Duration::from_millis(1)).await;
    world.script.revoke(session(1));
    let (batch, _) = told(&mut following).await;
    // To the second, and not before the last token that a late write did not stop.
    let expires = batch.revocations[0].expires;
    assert_eq!(expires, START + ACCESS + LONGEST_WRITE + Duration::from_secs(1));

    let mut early = world.follow("");
    sleep(ACCESS + LONGEST_WRITE - MILLISECOND).await;
    assert_eq!(subjects(&told(&mut world.follow("")).await.0), [session(1)]);
    sleep(WHOLE_EVERY + LONGEST_SILENCE).await;
    let last = told(&mut world.follow("")).await.0;
    assert!(last.snapshot && last.revocations.is_empty());
    // Nobody else is told of it: they forget it by themselves, and what was not told by then is not
    // told at all.
    assert!(told_for(&mut following, WHOLE_EVERY).await.iter().all(|b| b.revocations.is_empty()));
    assert!(told(&mut early).await.0.revocations.is_empty());
    let resumed = next(&mut world.follow(&first.cursor)).await;
    assert!(!resumed.snapshot && resumed.revocations.is_empty(), "the cursor is still good");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_resumes_where_it_was_and_any_other_begins_anew() {
    let world = World::new();
    let mut following = world.follow("");
    next(&mut following).await;
    let mut cursors = Vec::new();
    for n in 1..=4 {
        world.script.revoke(session(n));
        cursors.push(told(&mut following).await.0.cursor);
    }
    for (told_before, cursor) in (1..).zip(&cursors) {
        let batch = next(&mut world.follow(cursor)).await;
        assert!(!batch.snapshot);
        let rest: Vec<_> = (told_before + 1..=4).map(session).collect();
        assert_eq!(subjects(&batch), rest);
        assert_eq!(batch.cursor, cursors[3]);
    }
    let other = World::new();
    let of_other = next(&mut other.follow("")).await.cursor;
    let future = super::cursor::Cursor::decode(&cursors[3]).unwrap();
    let future = super::cursor::Cursor { sequence: future.sequence + 1, ..future }.encode();
    // Another process draws another number; here it is made up.
    let elsewhere = super::cursor::Cursor { incarnation: 7, sequence: 1 }.encode();
    assert_ne!(of_other, cursors[3]);
    for cursor in ["", "?", "never a cursor of anybody", &future, &elsewhere] {
        let batch = next(&mut world.follow(cursor)).await;
        assert!(batch.snapshot, "{cursor}");
        assert_eq!(subjects(&batch), [1, 2, 3, 4].map(session));
    }
}

#[tokio::test(start_paused = true)]
async fn much_is_told_in_parts_and_a_snapshots_cursor_in_the_last() {
    let world = World::new();
    let many = 2 * MOST_ENTRIES + MOST_ENTRIES / 2;
    for n in 0..many {
        world.script.commit(session(n as u128), Duration::from_secs(60));
    }
    let mut following = world.follow("");
    let mut all = Vec::new();
    for part in 0..3 {
        let batch = next(&mut following).await;
        assert_eq!(batch.snapshot, part == 0);
        assert_eq!(batch.cursor.is_empty(), part < 2);
        assert_eq!(
            batch.revocations.len(),
            if part < 2 { MOST_ENTRIES } else { many - 2 * MOST_ENTRIES }
        );
        all.extend(subjects(&batch));
        // What is revoked meanwhile comes after the snapshot.
        world.script.revoke(session(1_000_000 + part));
    }
    assert_eq!(all.len(), many);
    let mut later = Vec::new();
    while later.len() < 3 {
        later.extend(subjects(&told(&mut following).await.0));
    }
    assert_eq!(later, [0, 1, 2].map(|part| session(1_000_000 + part)));
    // So do increments, each with a cursor.
    for n in 0..many {
        world.script.commit(session(2_000_000 + n as u128), Duration::ZERO);
    }
    for part in 0..3 {
        let (batch, _) = told(&mut following).await;
        assert!(!batch.snapshot && !batch.cursor.is_empty());
        assert_eq!(
            batch.revocations.len(),
            if part < 2 { MOST_ENTRIES } else { many - 2 * MOST_ENTRIES }
        );
    }
}

/// A receiver that does not receive holds nothing back and misses nothing.
#[tokio::test(start_paused = true)]
async fn a_slow_follower_catches_up_and_slows_nobody() {
    let world = World::new();
    let (mut slow, mut quick) = (world.follow(""), world.follow(""));
    next(&mut slow).await;
    next(&mut quick).await;
    for n in 0..100 {
        world.script.revoke(session(n));
        let (batch, waited) = told(&mut quick).await;
        assert_eq!((subjects(&batch), waited), (vec![session(n)], Duration::ZERO));
    }
    let (batch, _) = told(&mut slow).await;
    assert_eq!(subjects(&batch), (0..100).map(session).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_silent_database_makes_a_silent_stream_and_a_good_one_a_sign_of_life() {
    let world = World::new();
    let mut following = world.follow("");
    let first = next(&mut following).await;
    let mut last = Instant::now();
    for _ in 0..100 {
        let batch = next(&mut following).await;
        let sign = Batch { snapshot: false, revocations: vec![], cursor: first.cursor.clone() };
        assert_eq!(batch, sign);
        let silence = last.elapsed();
        assert!(
            silence >= Duration::from_secs(1) && silence < Duration::from_secs(2),
            "{silence:?}"
        );
        last = Instant::now();
    }
    // One that has not looked since is not told that the database was read then.
    let mut late = world.follow("");
    next(&mut late).await;
    assert!(!told_for(&mut following, Duration::from_secs(5)).await.is_empty());
    world.script.fail(true);
    assert!(told_for(&mut following, Duration::from_secs(60)).await.len() <= 1);
    assert!(told_for(&mut late, Duration::from_secs(60)).await.is_empty());
    // Whoever begins to follow now hears nothing either.
    let mut later = world.follow(&first.cursor);
    assert!(told_for(&mut later, Duration::from_secs(60)).await.is_empty());
    world.script.fail(false);
    let began = Instant::now();
    next(&mut following).await;
    next(&mut later).await;
    assert!(began.elapsed() <= LONGEST_SILENCE);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_while_nobody_follows() {
    let world = World::new();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.script.readings(), 0);
    let mut following = world.follow("");
    let first = next(&mut following).await;
    world.script.revoke(session(1));
    told(&mut following).await;
    drop(following);
    sleep(Duration::from_secs(10)).await;
    let readings = world.script.readings();
    world.script.revoke(session(2));
    sleep(Duration::from_secs(600)).await;
    assert_eq!(world.script.readings(), readings);
    // What is told then is not what was known when the last one left.
    let (batch, waited) = told(&mut world.follow(&first.cursor)).await;
    assert_eq!((batch.snapshot, subjects(&batch)), (false, vec![session(1), session(2)]));
    assert_eq!(waited, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_callers_token_and_with_the_server() {
    let world = World::new();
    let mut following = world.follow_until("", START + Duration::from_millis(10_700));
    let began = Instant::now();
    let error = loop {
        match following.next().await.expect("the feed is open") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AppError::AccessTokenExpired), "{error}");
    let took = began.elapsed();
    assert!((10_700..10_702).contains(&took.as_millis()), "{took:?}");

    let mut following = world.follow("");
    next(&mut following).await;
    world.feed.close();
    let began = Instant::now();
    assert!(following.next().await.is_none());
    assert!(world.follow("").next().await.is_none());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// All there is may take longer to read than anybody waits for what is new.
#[tokio::test(start_paused = true)]
async fn a_reading_of_all_there_is_that_takes_long_holds_nothing_up() {
    const LONG: Duration = Duration::from_secs(20);
    let world = World::new();
    world.script.slow_down(LONG, Duration::ZERO);
    for n in 0..10 {
        world.script.commit(session(n), Duration::from_secs(60));
    }
    // Nobody waits for the first one.
    drop(world.follow(""));
    let mut impatient = world.follow("");
    assert!(timeout(LONG / 4, impatient.next()).await.is_err());
    drop(impatient);
    sleep(2 * LONG).await;
    let mut following = world.follow("");
    let (first, waited) = told(&mut following).await;
    assert_eq!((first.snapshot, first.revocations.len(), waited), (true, 10, Duration::ZERO));

    // Several such readings: each begins before some of this, and ends after it.
    for n in 100..200 {
        sleep(Duration::from_millis(1_234)).await;
        world.script.revoke(session(n));
        let (batch, waited) = told(&mut following).await;
        assert_eq!((batch.snapshot, subjects(&batch)), (false, vec![session(n)]));
        assert_eq!(waited, Duration::ZERO);
    }
    // They still find what they are for.
    world.script.forget(session(5));
    let (after, waited) = told(&mut following).await;
    assert!(after.snapshot && waited <= WHOLE_EVERY + 2 * LONG, "{waited:?}");
    assert_eq!(after.revocations.len(), 109);
    // What was told while it read is not lost with what was known.
    world.script.forget(session(6));
    let mut n = 200;
    let after = loop {
        sleep(Duration::from_secs(1)).await;
        n += 1;
        world.script.revoke(session(n));
        let (batch, _) = told(&mut following).await;
        if batch.snapshot {
            break batch;
        }
    };
    assert_eq!(after.revocations.len(), 109 - 1 + usize::try_from(n - 200).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_reading_of_all_there_is_that_never_ends_is_tried_now_and_then() {
    let world = World::new();
    let mut following = world.follow("");
    next(&mut following).await;
    world.script.slow_down(Duration::from_secs(1_000_000), Duration::ZERO);
    // Its patience grows for a while. Then each is given up after five minutes, and the next one
    // begins half a minute later.
    sleep(Duration::from_secs(600)).await;
    let before = *world.script.wholes.lock().unwrap();
    for n in 1..=10 {
        sleep(Duration::from_secs(330)).await;
        assert_eq!(*world.script.wholes.lock().unwrap() - before, n);
        world.script.revoke(session(n.into()));
        let (batch, waited) = told(&mut following).await;
        assert_eq!((batch.snapshot, subjects(&batch)), (false, vec![session(n.into())]));
        assert_eq!(waited, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dead_is_given_up_soon() {
    let world = World::new();
    world.script.slow_down(Duration::from_secs(1_000_000), Duration::ZERO);
    let mut following = world.follow("");
    assert!(timeout(MILLISECOND, following.next()).await.is_err());
    world.script.slow_down(Duration::ZERO, Duration::ZERO);
    let (first, waited) = told(&mut following).await;
    assert!(first.snapshot && waited <= Duration::from_secs(5) + LONGEST_SILENCE, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_read_on_after_a_failure_while_all_there_is_takes_long() {
    const LONG: Duration = Duration::from_secs(20);
    let world = World::new();
    let mut following = world.follow("");
    next(&mut following).await;
    world.script.slow_down(LONG, Duration::ZERO);
    world.script.fail(true);
    world.script.commit(session(1), Duration::ZERO);
    sleep(Duration::from_secs(40)).await;
    world.script.commit(session(2), Duration::from_secs(14));
    world.script.fail(false);
    let (batch, waited) = told(&mut following).await;
    assert_eq!((batch.snapshot, subjects(&batch)), (false, vec![session(1), session(2)]));
    assert!(waited <= LONGEST_SILENCE, "{waited:?}");
}

/// Whoever revokes and then asks must not be told what was so before.
#[tokio::test(start_paused = true)]
async fn the_first_that_is_told_was_read_after_the_follower_came() {
    let world = World::new();
    world.script.slow_down(Duration::from_millis(100), Duration::from_millis(100));
    let mut other = world.follow("");
    let cursor = next(&mut other).await.cursor;
    for n in 1..=100 {
        // At every place of a reading, and now and then while nothing is looked for but the newest.
        sleep(Duration::from_millis(370)).await;
        world.script.bell.send_replace(());
        sleep(Duration::from_millis(n as u64)).await;
        // One in two took its instant long before: it is no news to a short look back.
        let age = Duration::from_secs(if n % 2 == 0 { 10 } else { 0 });
        world.script.commit(session(n), age);
        let snapshot = next(&mut world.follow("")).await;
        assert!(snapshot.snapshot && subjects(&snapshot).contains(&session(n)), "{n}");
        let resumed = next(&mut world.follow(&cursor)).await;
        assert!(!resumed.snapshot && subjects(&resumed).contains(&session(n)), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_service_may_follow_no_more() {
    let world = World::new();
    let ServiceAccount { id, secret, .. } = service();
    let event = AuditEvent {
        id: Uuid::nil(),
        time: START,
        kind: EventKind::ServiceDisabled,
        account: None,
        actor: None,
        detail: String::new(),
        session: None,
        address: None,
        device: String::new(),
    };
    let name = Username::parse("api").unwrap();
    let account = NewServiceAccount { id, name, secret, roles: Vec::new(), create_time: START };
    world.services.create_service(&account, &event).await.unwrap();
    let mut following = world.follow("");
    next(&mut following).await;
    // Others' roles are not theirs, and what does not concern the account now ends nothing.
    world.script.revoke(roles(8, 1));
    assert_eq!(subjects(&told(&mut following).await.0), [roles(8, 1)]);
    world.script.revoke(roles(7, 0));
    assert_eq!(subjects(&told(&mut following).await.0), [roles(7, 0)]);

    let ended = async |mut following: Following| {
        let began = Instant::now();
        loop {
            if let Err(error) = following.next().await.expect("the feed is open") {
                break (error, began.elapsed());
            }
        }
    };
    let mut other = world.follow("");
    next(&mut other).await;
    world.services.set_service_status(id, Status::Disabled, &event).await.unwrap();
    world.script.commit(roles(7, 1), Duration::ZERO);
    let (error, took) = ended(following).await;
    assert!(matches!(error, AppError::SessionRevoked), "{error}");
    assert!(took <= LONGEST_SILENCE, "{took:?}");
    // Let in again, it still needs a new token.
    world.services.set_service_status(id, Status::Active, &event).await.unwrap();
    let (error, _) = ended(other).await;
    assert!(matches!(error, AppError::AccessTokenExpired), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_account_follows_so_often_and_another_as_well() {
    let world = World::new();
    let until = START + Duration::from_secs(1_000_000);
    let follow = |account| world.try_follow("", account, until);
    let mut open: Vec<_> = (0..2 * MOST_OF_ONE).map_while(|_| follow(service()).ok()).collect();
    assert_eq!(open.len(), MOST_OF_ONE);
    let refused = follow(service()).unwrap_err();
    assert!(matches!(refused, AppError::TooManyStreams { most: MOST_OF_ONE }), "{refused}");
    let other = ServiceAccount { id: ServiceId(Uuid::from_u128(8)), ..service() };
    assert!(next(&mut follow(other).unwrap()).await.snapshot);
    open.pop();
    assert!(next(&mut follow(service()).unwrap()).await.snapshot);
}
