//! The disk is full, the database is held by another process: whoever asks meanwhile is told to come
//! back, nobody is logged out, and the same process goes on once it is over.

use std::fs;

use sqlx::{ConnectOptions as _, Connection as _, Executor as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tests::{
    chance::Chance,
    clients::{Clients, Crowd},
    database::Database,
    ledger::Ledger,
    process::{AuthProcess, AuthProgram, PATIENCE},
};
use tokio::time::Instant;

/// A server that heals nothing, and its clients.
async fn world() -> (TempDir, AuthProgram, AuthProcess, Clients) {
    let dir = TempDir::new().expect("a temporary directory can be made");
    let program = AuthProgram::in_dir(dir.path()).await.with("--adopt", ["false"]);
    let server = program.start().await;
    let clients = Clients::start(&program, dir.path().to_owned(), CROWD).await;
    (dir, program, server, clients)
}

/// Waits for so many more rotations, logins and logouts.
async fn all_goes_on(ledger: &Ledger) {
    let now = ledger.tally();
    ledger
        .until(|tally| {
            tally.acknowledged >= now.acknowledged + 50
                && tally.logins >= now.logins + 8
                && tally.logouts >= now.logouts + 8
        })
        .await;
}

/// Nothing is lost, and nobody waits any more.
async fn settle(name: &str, clients: Clients, program: &AuthProgram, server: AuthProcess) {
    let ledger = clients.stop().await;
    ledger.check_settled(&Database::Sqlite.rows(program).await);
    let tally = ledger.tally();
    println!("{name}: {tally}\nwhat was said instead of answers: {:?}", ledger.excuses());
    assert_eq!((tally.superseded, tally.faults), (0, 0));
    assert!(!program.log().contains("panicked"), "{}", program.log());
    server.kill().await;
}

/// Takes the room away: at once, or where what the log will grow into ends in the middle of a page.
async fn fill_disk(chance: &Chance, program: &AuthProgram, server: &AuthProcess) {
    let log = fs::metadata(program.data_dir.join("auth.db-wal")).expect("a served file has a log");
    let room = if chance.one_in(2) { 0 } else { chance.below(log.len()) };
    server.limit_file_size(Some(room)).await;
}

/// Waits until so many have met the fault.
async fn many_are_refused(ledger: &Ledger, refreshes: u64, visits: u64) {
    let now = ledger.tally();
    ledger
        .until(|tally| {
            tally.unanswered >= now.unanswered + refreshes
                && tally.turned_away >= now.turned_away + visits
        })
        .await;
}

/// Fault 47. The server's own log is on that disk too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_logs_nobody_out_and_all_go_on_once_there_is_room() {
    let chance = Chance::from_env();
    println!("full disk: EVERGREEN_SEED={}", chance.seed);
    let (_dir, program, server, clients) = world().await;
    let ledger = clients.ledger.clone();
    for _ in 0..ROUNDS {
        all_goes_on(&ledger).await;
        fill_disk(&chance, &program, &server).await;
        many_are_refused(&ledger, 40, 20).await;
        server.limit_file_size(None).await;
    }
    all_goes_on(&ledger).await;
    let said: Vec<_> = ledger.excuses().into_keys().collect();
    assert_eq!(said, [STORAGE_UNAVAILABLE]);
    settle("full disk", clients, &program, server).await;
}

/// Fault 46 on top of 47.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_on_a_full_disk_loses_no_acknowledged_rotation_and_logs_nobody_out() {
    let chance = Chance::from_env();
    println!("kill on a full disk: EVERGREEN_SEED={}", chance.seed);
    let (_dir, program, mut server, clients) = world().await;
    let ledger = clients.ledger.clone();
    for _ in 0..ROUNDS {
        all_goes_on(&ledger).await;
        fill_disk(&chance, &program, &server).await;
        many_are_refused(&ledger, chance.below(40), chance.below(20)).await;
        let died = Instant::now();
        server.kill().await;
        let quiet = ledger.quiet().await;
        server = program.start().await;
        ledger.check(&Database::Sqlite.rows(&program).await);
        ledger.back_since(died);
        drop(quiet);
    }
    all_goes_on(&ledger).await;
    settle("kill on a full disk", clients, &program, server).await;
}

/// Fault 47: longer than a statement waits for the lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_held_too_long_logs_nobody_out_and_all_go_on_once_it_is_free() {
    let (_dir, program, server, clients) = world().await;
    let ledger = clients.ledger.clone();
    let mut holder = SqliteConnectOptions::new()
        .filename(program.data_dir.join("auth.db"))
        .busy_timeout(PATIENCE)
        .connect()
        .await
        .expect("another process may open the database");
    all_goes_on(&ledger).await;
    holder.execute("BEGIN IMMEDIATE").await.expect("the write lock can be had");
    let held = ledger.tally().acknowledged;
    many_are_refused(&ledger, 8, 4).await;
    // What was committed before the lock was had may be answered after it.
    let late = ledger.tally().acknowledged - held;
    assert!(late <= ROTATING, "{late} rotations were acknowledged that cannot have been written");
    holder.execute("ROLLBACK").await.expect("the write lock can be given back");
    holder.close().await.expect("the database can be closed");
    all_goes_on(&ledger).await;
    // Who waited behind others' waiting may have run out of time.
    let said: Vec<_> = ledger.excuses().into_keys().collect();
    assert!(said.iter().all(|said| [STORAGE_UNAVAILABLE, TOO_LATE].contains(&&**said)), "{said:?}");
    settle("held database", clients, &program, server).await;
}

const CROWD: Crowd = Crowd { bare: 8, applications: 4, visitors: 4 };
const ROTATING: u64 = 12;
const ROUNDS: u64 = 10;
const STORAGE_UNAVAILABLE: &str = "Unavailable STORAGE_UNAVAILABLE";
const TOO_LATE: &str = "DeadlineExceeded DEADLINE_EXCEEDED";
