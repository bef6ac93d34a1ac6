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
    following::MOST_ENTRIES,
    progress::{LONGEST_SILENCE, LONGEST_WRITE, WHOLE_EVERY},
};
use crate::{
    app::error::AppError,
    domain::{
        audit::AuditEvent,
        id::{SessionId, UserId},
        revocation::{Revocation, Revoked},
        user::Role,
    },
    storage::{error::StoreError, revocations::RevocationStore},
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
}

impl Script {
    fn new() -> Self {
        Self {
            clock: PausedClock(Instant::now()),
            rows: Mutex::default(),
            bell: watch::Sender::new(()),
            fails: Mutex::default(),
            readings: Mutex::default(),
        }
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
    async fn set_roles(&self, _: UserId, _: &[Role], _: &AuditEvent) -> Result<bool, StoreError> {
        unreachable!("a reader changes nothing")
    }

    async fn revocations_since(
        &self,
        since: Timestamp,
        life: Duration,
    ) -> Result<(Vec<Revocation>, Timestamp), StoreError> {
        *self.readings.lock().unwrap() += 1;
        if *self.fails.lock().unwrap() {
            return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut));
        }
        let now = self.clock.now();
        let since = since.max(now - life);
        let rows = self.rows.lock().unwrap();
        let all = rows.iter().map(|(what, at)| Revocation { what: *what, at: *at });
        Ok((all.filter(|one| one.at >= since).collect(), now))
    }

    fn revoked(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }
}

struct World {
    script: Arc<Script>,
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
        Self { script, feed }
    }

    fn follow(&self, cursor: &str) -> Following {
        self.follow_until(cursor, START + Duration::from_secs(1_000_000))
    }

    fn follow_until(&self, cursor: &str, until: Timestamp) -> Following {
        let clock = Arc::new(PausedClock(self.script.clock.0));
        self.feed.follow(cursor, until, clock)
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
