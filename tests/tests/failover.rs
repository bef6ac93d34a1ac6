//! The database's primary dies or vanishes under load, and its standby takes over; and instances of
//! AuthService are restarted in turn. Two instances serve 200 refreshes a second, as real processes
//! behind one address, and nobody is logged out.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use private_postgres::{Durability, Postgres, Replication};
use tempfile::TempDir;
use tests::{
    ask,
    balancer::Balancer,
    database::{Database, POSTGRES_DATABASE},
    fleet::{Fleet, Seen},
    ledger::Row,
    process::{AuthProcess, AuthProgram},
    vanishing::Vanishing,
};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::spawn_blocking,
    time::Instant,
};

/// A primary and its standby, and two instances that are told of both.
struct Pair {
    primary: Arc<Postgres>,
    standby: Arc<Postgres>,
    programs: [AuthProgram; 2],
    instances: [AuthProcess; 2],
    balancer: Balancer,
    /// How the instances reach the primary, unless it is by its socket.
    network: Option<Vanishing>,
    _dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Pair {
    /// None where PostgreSQL is not installed.
    async fn start(replication: Replication, adopt: &str) -> Option<Self> {
        Self::start_by(Way::Socket, replication, adopt).await
    }

    async fn start_by(way: Way, replication: Replication, adopt: &str) -> Option<Self> {
        // Together they would be slower than 200 refreshes a second.
        static ALONE: Mutex<()> = Mutex::const_new(());
        let alone = ALONE.lock().await;
        let servers = spawn_blocking(move || {
            let Some(primary) = Postgres::start(Durability::ProcessCrash)? else { return Ok(None) };
            primary.create_database(POSTGRES_DATABASE)?;
            let standby = primary.standby(replication)?;
            io::Result::Ok(Some((Arc::new(primary), Arc::new(standby))))
        });
        let (primary, standby) = servers.await.unwrap().unwrap()?;
        let mut url = primary.url_of_either(&standby, POSTGRES_DATABASE);
        let network = match way {
            Way::Socket => None,
            Way::Network => Some(Vanishing::before(primary.socket()).await.unwrap()),
        };
        if let Some(Vanishing { address, .. }) = &network {
            let standby = standby.url(POSTGRES_DATABASE);
            url = standby.replace("postgres@", &format!("postgres@{address},"));
        }
        let dir = TempDir::new().unwrap();
        let program = async || {
            let program = AuthProgram::in_dir(dir.path()).await;
            let program = program.with("--database-url", [url.as_str()]).with("--adopt", [adopt]);
            program.with("--ops-listen", ["127.0.0.1:0"])
        };
        let programs = [program().await, program().await];
        let instances = [programs[0].start().await, programs[1].start().await];
        let addresses = programs.iter().map(|program| program.address).collect();
        let balancer = Balancer::start(addresses).await.unwrap();
        Some(Self {
            primary,
            standby,
            programs,
            instances,
            balancer,
            network,
            _dir: dir,
            _alone: alone,
        })
    }

    async fn rows_of(&self, server: &Arc<Postgres>) -> BTreeMap<String, Row> {
        Database::Postgres(Arc::clone(server)).rows(&self.programs[0]).await
    }

    /// Kills the primary, whose death nobody hears of if it is reached by a network, promotes the
    /// standby, and waits until every client has been answered by it.
    async fn fail_over(&self, fleet: &Fleet) -> Failover {
        let died = Instant::now();
        if let Some(network) = &self.network {
            network.vanish();
        }
        on(&self.primary, Postgres::kill).await;
        let known = self.rows_of(&self.standby).await;
        let acknowledged = fleet.ledger.generations();
        let promoting = Instant::now();
        on(&self.standby, Postgres::promote).await;
        println!("  promoted in {:?}", promoting.elapsed());
        fleet.ledger.back_since(died);
        all_go_on(fleet, &acknowledged).await;
        let behind = acknowledged
            .iter()
            .map(|(session, newest)| newest.saturating_sub(known[session].generation));
        let behind = behind.filter(|rotations| *rotations > 0).collect();
        Failover { outage: fleet.ledger.tally().longest_outage, behind }
    }

    /// Stops everything, and holds what the clients were told against what the database says.
    async fn end(self, fleet: Fleet, server: &Arc<Postgres>) -> Seen {
        let ledger = Arc::clone(&fleet.ledger);
        let seen = fleet.stop().await;
        ledger.check_settled(&self.rows_of(server).await);
        let tally = ledger.tally();
        println!("  {seen:?}\n  {tally}\n  instead of answers: {:?}", ledger.excuses());
        assert_eq!((tally.superseded, tally.faults), (0, 0));
        for (instance, program) in self.instances.into_iter().zip(&self.programs) {
            assert_eq!(instance.terminate().await, Some(0), "{}", program.log());
            assert!(!program.log().contains("panicked"), "{}", program.log());
        }
        seen
    }
}

/// How the instances reach the primary.
#[derive(Clone, Copy)]
enum Way {
    /// By its socket, which tells of its death.
    Socket,
    /// By a network, from which it can vanish.
    Network,
}

/// What a failover was like.
struct Failover {
    /// How long nobody was answered.
    outage: Duration,
    /// How many acknowledged rotations the standby did not know when the primary was dead, by
    /// session, of those in which it lacked any.
    behind: Vec<u64>,
}

/// Fault 47. The instances heal nothing: with `--adopt`, a session whose rotation was lost would go
/// on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_takes_over_and_nothing_acknowledged_is_lost() {
    let Some(pair) = Pair::start(Replication::Synchronous, "false").await else { return };
    let standby = Arc::clone(&pair.standby);
    let fleet = Fleet::start(&pair.balancer.url(), CLIENTS, PACE).await;
    under_load(&fleet).await;
    let before = fleet.ledger.tally().acknowledged;
    let Failover { outage, .. } = pair.fail_over(&fleet).await;
    let seen = pair.end(fleet, &standby).await;
    println!(
        "synchronous: {before} rotations acknowledged before, 0 lost; {} of {CLIENTS} clients logged \
         out; nobody was answered for {outage:?}",
        CLIENTS - seen.signed_in,
    );
    assert_eq!((seen.signed_in, seen.failed), (CLIENTS, 0));
}

/// Fault 47. The standby is behind by at least one rotation of each session, and takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asynchronous_standby_that_is_behind_adopts_each_session_once() {
    let Some(pair) = Pair::start(Replication::Asynchronous, "true").await else { return };
    let standby = Arc::clone(&pair.standby);
    let fleet = Fleet::start(&pair.balancer.url(), CLIENTS, PACE).await;
    under_load(&fleet).await;
    on(&standby, Postgres::stop_following).await;
    all_go_on(&fleet, &fleet.ledger.generations()).await;
    let Failover { outage, behind } = pair.fail_over(&fleet).await;
    assert_eq!(behind.len(), CLIENTS, "every session lacks a rotation");

    let adopted = "SELECT count(*), count(DISTINCT session_id) FROM audit_events
                   WHERE kind = 'refresh_adopted'";
    let adopted = on(&standby, move |standby| standby.sql(POSTGRES_DATABASE, adopted)).await;
    assert_eq!(adopted, format!("{CLIENTS}|{CLIENTS}"), "each session once");
    let seen = pair.end(fleet, &standby).await;
    println!(
        "asynchronous: {} acknowledged rotations lost, {CLIENTS} sessions adopted; {} of {CLIENTS} \
         clients logged out; nobody was answered for {outage:?}",
        behind.iter().sum::<u64>(),
        CLIENTS - seen.signed_in,
    );
    assert_eq!((seen.signed_in, seen.failed), (CLIENTS, 0));
}

/// Fault 47, of a machine instead of a process: nothing tells the instances that what they have asked
/// of the former primary will never be answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_vanishes_without_a_word_is_left_too() {
    let (way, replication) = (Way::Network, Replication::Synchronous);
    let Some(mut pair) = Pair::start_by(way, replication, "false").await else { return };
    let mut operations = Vec::new();
    for instance in &mut pair.instances {
        let line = instance.next_line().await.unwrap();
        let address = line.strip_prefix("Operations are served on ").expect(&line);
        operations.push(address.parse().unwrap());
    }
    let standby = Arc::clone(&pair.standby);
    let fleet = Fleet::start(&pair.balancer.url(), CLIENTS, PACE).await;
    under_load(&fleet).await;
    let before = fleet.ledger.tally().acknowledged;
    let Failover { outage, .. } = pair.fail_over(&fleet).await;
    for operations in operations {
        let (head, _) = ask(operations, "/readyz").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "the new primary is what is asked: {head}");
    }
    let seen = pair.end(fleet, &standby).await;
    println!(
        "vanished: {before} rotations acknowledged before, 0 lost; {} of {CLIENTS} clients logged \
         out; nobody was answered for {outage:?}",
        CLIENTS - seen.signed_in,
    );
    assert_eq!((seen.signed_in, seen.failed), (CLIENTS, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_restarted_in_turn_and_no_caller_sees_it() {
    let Some(mut pair) = Pair::start(Replication::Asynchronous, "false").await else { return };
    let primary = Arc::clone(&pair.primary);
    let fleet = Fleet::start(&pair.balancer.url(), CLIENTS, PACE).await;
    under_load(&fleet).await;
    for _ in 0..ROUNDS {
        for (program, instance) in pair.programs.iter().zip(&mut pair.instances) {
            instance.signal(tests::process::Signal::TERM);
            assert_eq!(instance.ended().await, Some(0), "{}", program.log());
            // The other one serves them all.
            all_go_on(&fleet, &fleet.ledger.generations()).await;
            *instance = program.start().await;
        }
    }
    let seen = pair.end(fleet, &primary).await;
    println!("restarted {} times: {seen:?}", 2 * ROUNDS);
    assert_eq!((seen.signed_in, seen.failed), (CLIENTS, 0));
}

/// Waits until the clients have refreshed for a while, and tells how fast.
async fn under_load(fleet: &Fleet) {
    let (start, before) = (Instant::now(), fleet.ledger.tally().acknowledged);
    fleet.ledger.until(|tally| tally.acknowledged >= before + WARM_UP).await;
    println!("  {:.0} refreshes a second", WARM_UP as f64 / start.elapsed().as_secs_f64());
}

/// Waits until every session has been rotated since.
async fn all_go_on(fleet: &Fleet, since: &BTreeMap<String, u64>) {
    let ledger = &fleet.ledger;
    let is_newer = |now: &BTreeMap<String, u64>| {
        now.len() == CLIENTS && since.iter().all(|(session, before)| now[session] > *before)
    };
    ledger.until(|_| is_newer(&ledger.generations())).await;
}

/// Waits for the programs that PostgreSQL comes with.
async fn on<T: Send + 'static>(
    server: &Arc<Postgres>,
    work: impl FnOnce(&Postgres) -> io::Result<T> + Send + 'static,
) -> T {
    let server = Arc::clone(server);
    spawn_blocking(move || work(&server)).await.unwrap().unwrap()
}

const CLIENTS: usize = 40;
/// Each client refreshes so often: 200 times a second all of them together.
const PACE: Duration = Duration::from_millis(200);
const WARM_UP: u64 = 400;
const ROUNDS: usize = 2;
