//! What every store must do, as far as it can be seen from outside.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use token::{clock::Timestamp, entropy::SeededEntropy};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    TokenPair,
    store::{Attempt, Record, Store, StoreGuard},
};

/// Checks that stores which `open` makes keep the promises of [`Store`]: whole-or-nothing saves that
/// other handles see, one guard at a time, a lock that goes free with its holder and is not kept by
/// who gave up waiting, and reads that need no lock.
///
/// Each call of `open` must give another handle to the same storage, made as another process would
/// make it. What the storage holds is replaced. Run it on tokio with its clock paused
/// (`start_paused`), or it takes a little longer.
///
/// What no test in one process can show is that the lock spans processes and that a save survives a
/// crash.
///
/// ```
/// use client_sdk::{store::FileStore, testing::store_contract};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let folder = tempfile::tempdir().unwrap();
/// store_contract(|| FileStore::open(folder.path().join("tokens.json")).unwrap()).await;
/// # }
/// ```
///
/// # Panics
///
/// With the promise that is not kept.
pub async fn store_contract<S: Store>(open: impl Fn() -> S) {
    saves_are_seen_whole_by_other_handles(&open).await;
    a_cleared_store_is_empty(&open).await;
    reads_need_no_lock(&open).await;
    one_guard_at_a_time(&open).await;
    who_gives_up_waiting_does_not_keep_the_lock(&open).await;
    a_holder_that_is_dropped_frees_the_lock(&open).await;
    no_update_is_lost(&open).await;
    a_save_that_is_dropped_is_done_or_not_begun(&open).await;
    no_reader_sees_a_part_of_a_save(&open).await;
}

/// Checks that stores which `open` makes tell each other's changes through
/// [`Store::watch`]; for stores that implement it. See [`store_contract`].
///
/// # Panics
///
/// With the promise that is not kept.
pub async fn store_watch_contract<S: Store>(open: impl Fn() -> S) {
    let (here, there) = (open(), open());
    save(&there, &record(0)).await;

    let mut watch = here.watch();
    save(&there, &record(1)).await;
    told(watch.changed(), "a save between making the watch and waiting").await;
    save(&there, &record(2)).await;
    told(watch.changed(), "a save between two waits").await;

    let given_up = timeout(BRIEF, watch.changed()).await;
    assert!(given_up.is_err(), "a watch told of a change twice, or of none");
    save(&there, &record(2)).await;
    told(watch.changed(), "a save after a wait that was given up").await;

    let waiting = watch.changed();
    let clearing = async {
        guard(&there).await.clear().await.expect("a store can be cleared");
    };
    tokio::join!(told(waiting, "a clear during a wait"), clearing);
    assert!(is(&here.load().await.expect("a store can be read"), None), "told before it was done");
    save(&here, &record(3)).await;
    told(watch.changed(), "a save of the same handle").await;
}

async fn saves_are_seen_whole_by_other_handles<S: Store>(open: &impl Fn() -> S) {
    let (here, there) = (open(), open());
    for n in 0..3 {
        save(&here, &record(n)).await;
        let seen = there.load().await.expect("a store can be read");
        assert!(is(&seen, Some(&record(n))), "another handle does not see what was saved");
        let seen = guard(&there).await.load().await.expect("a store can be read");
        assert!(is(&seen, Some(&record(n))), "another guard does not see what was saved");
        let seen = open().load().await.expect("a store can be read");
        assert!(is(&seen, Some(&record(n))), "a new handle does not see what was saved");
    }
}

async fn a_cleared_store_is_empty<S: Store>(open: &impl Fn() -> S) {
    let (here, there) = (open(), open());
    save(&here, &record(0)).await;
    for _ in 0..2 {
        // The second time it is empty already, which is no error.
        guard(&there).await.clear().await.expect("a store can be cleared");
        let seen = here.load().await.expect("a store can be read");
        assert!(is(&seen, None), "a cleared store holds a record");
    }
    save(&here, &record(1)).await;
    let seen = there.load().await.expect("a store can be read");
    assert!(is(&seen, Some(&record(1))), "a cleared store takes no record");
}

async fn reads_need_no_lock<S: Store>(open: &impl Fn() -> S) {
    let (here, there) = (open(), open());
    save(&here, &record(0)).await;
    let held = guard(&here).await;
    let seen = timeout(PATIENCE, there.load()).await.expect("a read waits for the lock");
    assert!(is(&seen.expect("a store can be read"), Some(&record(0))));
    drop(held);
}

async fn one_guard_at_a_time<S: Store>(open: &impl Fn() -> S) {
    let (here, there) = (open(), open());
    let held = guard(&here).await;
    let second = timeout(BRIEF, there.lock()).await;
    assert!(second.is_err(), "two handles have the lock at once");
    let second = timeout(BRIEF, here.lock()).await;
    assert!(second.is_err(), "one handle has the lock twice");
    drop(held);
    drop(guard(&there).await);
}

async fn who_gives_up_waiting_does_not_keep_the_lock<S: Store>(open: &impl Fn() -> S) {
    let (here, there) = (open(), open());
    let held = guard(&here).await;
    let mut waiting = there.lock();
    let given_up = timeout(BRIEF, &mut waiting).await;
    assert!(given_up.is_err(), "two handles have the lock at once");
    drop(waiting);
    drop(held);
    drop(guard(&open()).await);

    // One who gives up at any moment, after a few polls of a free lock, keeps it no more.
    for polls in 1..8 {
        let mut waiting = there.lock();
        polled(polls, &mut waiting).await;
        drop(waiting);
        drop(guard(&here).await);
    }
}

async fn a_holder_that_is_dropped_frees_the_lock<S: Store>(open: &impl Fn() -> S) {
    let here = open();
    drop(guard(&here).await);
    let held = guard(&here).await;
    // With its task, as when a runtime ends.
    let task = tokio::spawn(async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    task.abort();
    let _ = task.await;
    drop(guard(&open()).await);
}

async fn no_update_is_lost<S: Store>(open: &impl Fn() -> S) {
    save(&open(), &record(0)).await;
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let store = open();
        tasks.spawn(async move {
            for _ in 0..UPDATES {
                let mut guard = guard(&store).await;
                let seen = guard.load().await.expect("a store can be read");
                let seen = seen.expect("nobody clears it");
                let next = number(&seen) + 1;
                tokio::task::yield_now().await;
                guard.save(&record(next)).await.expect("a store can be written");
            }
        });
    }
    tasks.join_all().await;
    let seen = open().load().await.expect("a store can be read").expect("nobody clears it");
    assert_eq!(number(&seen), WRITERS * UPDATES, "an update was lost: the lock excludes nobody");
}

async fn a_save_that_is_dropped_is_done_or_not_begun<S: Store>(open: &impl Fn() -> S) {
    let store = open();
    for polls in 0..8 {
        save(&store, &record(1)).await;
        let next = record(2);
        let mut held = guard(&store).await;
        let mut saving = held.save(&next);
        polled(polls, &mut saving).await;
        drop(saving);
        drop(held);
        // Whoever has the lock next sees the end of it.
        let seen = guard(&open()).await.load().await.expect("a save that was dropped left rubbish");
        let whole = is(&seen, Some(&record(1))) || is(&seen, Some(&next));
        assert!(whole, "a save that was dropped left a part");
        let later = open().load().await.expect("a store can be read");
        assert!(is(&later, seen.as_ref()), "a save went on after its guard was gone");
    }
}

async fn no_reader_sees_a_part_of_a_save<S: Store>(open: &impl Fn() -> S) {
    let (writer, reader) = (open(), open());
    let (short, long) = (record(7), long_record());
    save(&writer, &short).await;
    let writing = async {
        for n in 0..UPDATES {
            save(&writer, if n % 2 == 0 { &long } else { &short }).await;
        }
    };
    let mut writing = pin!(writing);
    loop {
        tokio::select! {
            biased;
            seen = reader.load() => {
                let seen = seen.expect("a reader sees rubbish during a save");
                let whole = is(&seen, Some(&short)) || is(&seen, Some(&long));
                assert!(whole, "a reader sees a part of a save, or nothing during one");
                // The writer gets its turn even from a reader that is always ready.
                let written = poll_fn(|cx| Poll::Ready(writing.as_mut().poll(cx))).await;
                if written.is_ready() {
                    return;
                }
            }
            () = &mut writing => return,
        }
    }
}

async fn guard<S: Store>(store: &S) -> Box<dyn StoreGuard> {
    let taken = timeout(PATIENCE, store.lock()).await.expect("a free lock cannot be had");
    taken.expect("a store can be locked")
}

async fn save<S: Store>(store: &S, record: &Record) {
    guard(store).await.save(record).await.expect("a store can be written");
}

async fn told(changed: impl Future<Output = ()>, what: &str) {
    assert!(timeout(PATIENCE, changed).await.is_ok(), "a watch missed {what}");
}

/// Polls `future` so many times, as it comes, and no more.
async fn polled<F: Future + Unpin>(polls: usize, future: &mut F) {
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await.is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn record(n: u64) -> Record {
    let pair = TokenPair::new(format!("access-{n}"))
        .refresh_token(format!("refresh-{n}"))
        .access_expires_in(Duration::from_secs(900))
        .session_id(n.to_string());
    let received_at = Timestamp::from_unix_seconds(i64::try_from(n).unwrap_or_default());
    // Every third has an attempt under way.
    let record = Record::new(pair, received_at);
    if n.is_multiple_of(3) {
        return record.with_attempt(Attempt::draw(&SeededEntropy::new(n), n.is_multiple_of(2)));
    }
    record
}

/// As large as tokens get that name many roles.
fn long_record() -> Record {
    let pair = TokenPair::new("a".repeat(6_000)).refresh_token("r".repeat(3_000));
    Record::new(pair, Timestamp::UNIX_EPOCH)
}

fn number(record: &Record) -> u64 {
    record.pair.session_id.parse().expect("the record is one of ours")
}

/// Whether `seen` is `expected` to the last field.
fn is(seen: &Option<Record>, expected: Option<&Record>) -> bool {
    match (seen, expected) {
        (None, None) => true,
        (Some(seen), Some(expected)) => seen.encode() == expected.encode(),
        _ => false,
    }
}

const WRITERS: u64 = 4;
const UPDATES: u64 = 8;
/// How long somebody waits who is to wait in vain.
const BRIEF: Duration = Duration::from_millis(60);
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
