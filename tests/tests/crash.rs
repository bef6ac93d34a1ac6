//! The real AuthService dies, again and again, at whatever it is doing. Whoever was answered keeps
//! what they were told, and whoever was not asks again and is answered.
//!
//! `EVERGREEN_CRASHES` says how often it dies, and `EVERGREEN_SEED` what its moments are drawn from;
//! the seed is printed. It repeats what is drawn, and not what the system makes of it.

use std::sync::Arc;

use private_postgres::{Durability, Postgres};
use tempfile::TempDir;
use tests::{
    chance::{Chance, number},
    clients::{Clients, Crowd},
    database::{Database, POSTGRES_DATABASE},
    ledger::Ledger,
    process::AuthProgram,
};
use tokio::{task::yield_now, time::Instant};

/// Fault 46, and 19 for the applications that crash with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_any_point_under_load_loses_no_acknowledged_rotation_and_logs_nobody_out() {
    let dir = TempDir::new().expect("a temporary directory can be made");
    let program = strict(&dir).await;
    survive("sqlite", &Database::Sqlite, &program, &dir).await;
}

/// Fault 46, and 47: every third time the database dies too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_server_and_postgresql_loses_no_acknowledged_rotation_and_logs_nobody_out() {
    let postgres = Postgres::start(Durability::ProcessCrash).expect("PostgreSQL can be started");
    let Some(postgres) = postgres else { return };
    let url = postgres.create_database(POSTGRES_DATABASE).expect("a database can be made");
    let dir = TempDir::new().expect("a temporary directory can be made");
    let program = strict(&dir).await.with("--database-url", [url.as_str()]);
    survive("postgres", &Database::Postgres(Arc::new(postgres)), &program, &dir).await;
}

/// A server that heals nothing: with `--adopt`, a session whose rotation was lost would go on.
async fn strict(dir: &TempDir) -> AuthProgram {
    AuthProgram::in_dir(dir.path()).await.with("--adopt", ["false"])
}

async fn survive(name: &str, database: &Database, program: &AuthProgram, dir: &TempDir) {
    let crashes = number("EVERGREEN_CRASHES").unwrap_or(CRASHES);
    let chance = Chance::from_env();
    println!("{name}: EVERGREEN_SEED={}", chance.seed);
    let mut server = program.start().await;
    let clients = Clients::start(program, dir.path().to_owned(), CROWD).await;
    let ledger = clients.ledger.clone();
    let (mut while_starting, mut applications) = (0, 0);

    for crash in 1..=crashes {
        moment(&chance, &ledger).await;
        let crash_applications = || {
            let falling = (0..CROWD.applications).filter(|_| chance.one_in(4));
            falling.map(|number| clients.crash_application(number)).count()
        };
        // Before, the server finishes what a dead client asked for; after, both are dead.
        let before = chance.one_in(2);
        if before {
            applications += crash_applications();
        }
        let died = Instant::now();
        let database_too = database.is_a_process() && crash.is_multiple_of(3);
        if database_too && chance.one_in(2) {
            // The server lives on without it for a while, and says so.
            database.kill().await;
            so_many_unanswered(chance.below(8), &ledger).await;
            server.kill().await;
        } else {
            server.kill().await;
            if database_too {
                database.kill().await;
            }
        }
        if !before {
            applications += crash_applications();
        }
        // The outage lasts until so many more have met it.
        so_many_unanswered(chance.below(24), &ledger).await;

        let quiet = ledger.quiet().await;
        if database_too {
            database.serve().await;
        }
        while chance.one_in(8) {
            kill_while_starting(&chance, program).await;
            while_starting += 1;
        }
        server = program.start().await;
        ledger.check(&database.rows(program).await);
        ledger.back_since(died);
        drop(quiet);
    }

    let ledger = clients.stop().await;
    server.kill().await;
    let server = program.start().await;
    ledger.check_settled(&database.rows(program).await);
    drop(server);
    let tally = ledger.tally();
    println!(
        "{name}: {crashes} kills under load and {while_starting} while starting, \
         {applications} crashes of applications: {tally}"
    );
    assert_eq!((tally.superseded, tally.faults), (0, 0));
    assert!(!program.log().contains("panicked"), "{}", program.log());
}

/// So many attempts from now, or so many answers, and then a little later: events, drawn so that
/// each stage of a request is hit.
async fn moment(chance: &Chance, ledger: &Ledger) {
    let (now, more) = (ledger.tally(), chance.below(80));
    if chance.one_in(2) {
        ledger.until(|tally| tally.acknowledged >= now.acknowledged + more).await;
    } else {
        ledger.until(|tally| tally.sent >= now.sent + more).await;
    }
    for _ in 0..chance.below(200) {
        yield_now().await;
    }
}

async fn so_many_unanswered(more: u64, ledger: &Ledger) {
    let unanswered = ledger.tally().unanswered + more;
    ledger.until(|tally| tally.unanswered >= unanswered).await;
}

async fn kill_while_starting(chance: &Chance, program: &AuthProgram) {
    let starting = program.spawn();
    for _ in 0..chance.below(20_000) {
        yield_now().await;
    }
    starting.kill().await;
}

const CROWD: Crowd = Crowd { bare: 8, applications: 8, visitors: 1 };
const CRASHES: u64 = 60;
