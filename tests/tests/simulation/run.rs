//! One seed, from start to judgement.

use std::{collections::BTreeSet, panic, sync::Arc, time::Duration};

use api_service::MemoryDatabase as Shelf;
use auth_service::{MemoryDatabase, Snapshot};
use client_sdk::store::MemoryStore;
use tempfile::TempDir;
use tests::chance::{Chance, number};
use token::{MasterKey, entropy::SeededEntropy};
use turmoil::Sim;
use uuid::Uuid;

use crate::{
    actors::{Api, Auth, Client, DEADLINE, Thief, come_back},
    book::{Book, Pages, Tally},
    clock::{Dawdling, Offset},
    ears,
    plan::{AUTHS, CALM, CLIENTS, Fault, HOSTS, Plan, TROUBLE},
};

/// What is left of a seed.
pub struct Done {
    pub log: Vec<String>,
    pub tally: Tally,
}

/// Runs one seed. What breaks a promise panics, and tells the seed and what led there.
pub fn seed(seed: u64) -> Done {
    let book = Book::default();
    let run = || match seed % LISTENED {
        0 => listened_to(&book, || World::new(seed, &book).run()),
        _ => World::new(seed, &book).run(),
    };
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(run));
    if let Err(broken) = outcome {
        let log = std::mem::take(&mut book.pages().log);
        let shown = if number("EVERGREEN_SEED").is_some() { log.len() } else { 100 };
        let tail = &log[log.len().saturating_sub(shown)..];
        eprintln!("{}\nseed {seed} failed; EVERGREEN_SEED={seed} replays it", tail.join("\n"));
        panic::resume_unwind(broken);
    }
    let mut pages = book.pages();
    Done { log: std::mem::take(&mut pages.log), tally: pages.tally.clone() }
}

/// Runs with all that our code has to say, and looks for tokens in it.
fn listened_to(book: &Book, run: impl FnOnce()) {
    ears::open();
    run();
    let heard = ears::close();
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.contains("refresh"), "the log is on");
    for token in &book.pages().tokens {
        assert!(!heard.contains(token), "a token is in the log");
    }
}

/// The system of one seed.
struct World {
    seed: u64,
    sim: Sim<'static>,
    plan: Plan,
    book: Book,
    database: MemoryDatabase,
    pace: Arc<Dawdling>,
    directory: TempDir,
    offsets: Vec<(&'static str, Offset)>,
    clients: Vec<Client>,
    backup: Option<Snapshot>,
}

impl World {
    fn new(seed: u64, book: &Book) -> Self {
        let mut builder = turmoil::Builder::new();
        builder
            .rng_seed(seed)
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(60))
            .simulation_duration(Duration::from_secs(3_600));
        let mut sim = builder.build();
        let database = MemoryDatabase::new();
        let pace = Arc::new(Dawdling::new(seed));
        database.set_pace(pace.clone());
        let directory = TempDir::new().unwrap();
        let mut offsets = Vec::new();
        let mut offset = |host| {
            let offset = Offset::default();
            offsets.push((host, offset.clone()));
            offset
        };
        for (i, name) in AUTHS.into_iter().enumerate() {
            let auth = Auth {
                database: database.clone(),
                directory: directory.path().to_owned(),
                offset: offset(name),
                entropy: Arc::new(SeededEntropy::new(seed ^ (0xA0 + i as u64) << 32)),
                book: book.clone(),
            };
            sim.host(name, move || auth.clone().run());
        }
        let api = Api {
            shelf: Shelf::default(),
            offset: offset("api"),
            entropy: Arc::new(SeededEntropy::new(seed ^ 0xB0 << 32)),
            book: book.clone(),
        };
        sim.host("api", move || api.clone().run());
        let chance = Chance::of(seed, 2);
        let shared = MemoryStore::new();
        let mut clients = Vec::new();
        for (i, name) in CLIENTS.into_iter().enumerate() {
            let shares = i >= 2;
            let clock = Offset::default();
            // A client's clock is its own business.
            clock.set(chance.below(172_800_000) as i64 - 86_400_000);
            let client = Client {
                name,
                user: if shares { "cyd" } else { name },
                logs_in: i != 3,
                auth: AUTHS[i % 2],
                store: if shares { shared.clone() } else { MemoryStore::new() },
                offset: clock,
                chance: Arc::new(Chance::of(seed, 100 + i as u64)),
                entropy: Arc::new(SeededEntropy::new(seed ^ (0xC0 + i as u64) << 32)),
                book: book.clone(),
            };
            clients.push(client.clone());
            sim.host(name, move || client.clone().run());
        }
        let plan = Plan::draw(seed);
        let book = book.clone();
        Self { seed, sim, plan, book, database, pace, directory, offsets, clients, backup: None }
    }

    fn run(mut self) {
        let faults = std::mem::take(&mut self.plan.faults);
        for (at, fault) in faults {
            self.go_on_until(at);
            self.inflict(fault);
        }
        self.go_on_until(TROUBLE);
        self.sim.client("nobody", come_back_later(self.book.clone()));
        self.go_on_until(TROUBLE + CALM);
        self.judge();
    }

    fn go_on_until(&mut self, at: Duration) {
        while self.sim.elapsed() < at {
            self.sim.step().unwrap();
        }
    }

    fn inflict(&mut self, fault: Fault) {
        let at = self.sim.elapsed().as_secs_f64();
        self.book.pages().log.push(format!("{at:>9.3} {fault:?}"));
        let count = |with: &dyn Fn(&mut Tally)| with(&mut self.book.pages().tally);
        match fault {
            Fault::Cut(a, b) => {
                count(&|tally| tally.cuts += 1);
                self.sim.partition(a, b);
            }
            Fault::CutOneWay(from, to) => {
                count(&|tally| tally.cuts += 1);
                self.sim.partition_oneway(from, to);
            }
            Fault::Mend(a, b) => self.sim.repair(a, b),
            Fault::Hold(a, b) => {
                count(&|tally| tally.holds += 1);
                self.sim.hold(a, b);
            }
            Fault::Release(a, b) => self.sim.release(a, b),
            Fault::Crash(host) => {
                count(&|tally| tally.crashes += 1);
                self.crash(host);
            }
            Fault::CrashWithClock(host, off) => {
                count(&|tally| tally.crashes += 1);
                if off.abs() > 10_000 {
                    count(&|tally| tally.clock_steps += 1);
                }
                self.crash(host);
                self.offsets.iter().filter(|(name, _)| *name == host).for_each(|(_, o)| o.set(off));
            }
            Fault::Start(host) => self.start(host),
            Fault::Dawdle(worst) => {
                count(&|tally| tally.slow_disks += 1);
                self.pace.set_worst(worst);
            }
            Fault::Backup => self.backup = Some(self.database.snapshot()),
            Fault::Restore => {
                count(&|tally| tally.restores += 1);
                self.database.restore(self.backup.as_ref().unwrap());
            }
            Fault::RotateRing => {
                count(&|tally| tally.rings += 1);
                let ring = self.directory.path().join("master.keys");
                let old = std::fs::read_to_string(&ring).unwrap();
                let new = MasterKey::generate(&SeededEntropy::new(self.seed));
                std::fs::write(&ring, format!("{}\n{old}", *new.to_line())).unwrap();
                self.crash("auth0");
                self.start("auth0");
            }
            Fault::Steal(victim) => {
                let thief = Thief {
                    victim: self.clients[victim].clone(),
                    chance: Arc::new(Chance::of(self.seed, 3)),
                    entropy: Arc::new(SeededEntropy::new(self.seed ^ 0xD0 << 32)),
                    book: self.book.clone(),
                };
                self.sim.client("thief", thief.run());
            }
        }
    }

    /// As by a loss of power: nobody is told. A runtime that is dropped closes its connections in
    /// an order that no seed decides, so what they would say is not let through.
    fn crash(&mut self, host: &'static str) {
        for other in HOSTS.into_iter().filter(|other| *other != host) {
            self.sim.partition(host, other);
        }
        self.sim.crash(host);
    }

    /// Starts what is down, with all its cables in place.
    fn start(&mut self, host: &'static str) {
        if !self.sim.is_host_running(host) {
            for other in HOSTS.into_iter().filter(|other| *other != host) {
                self.sim.repair(host, other);
            }
            self.sim.bounce(host);
        }
    }

    fn judge(&self) {
        let pages = &mut *self.book.pages();
        self.judge_clients(pages);
        self.judge_rotations(pages);
        for id in &pages.spent_by_thief {
            let id = Uuid::parse_str(id).unwrap();
            assert!(!self.database.is_live(id), "owner and thief both go on in {id}");
        }
        pages.tally.seeds += 1;
    }

    fn judge_clients(&self, pages: &mut Pages) {
        for (id, reason) in &pages.rejected {
            if pages.stolen.contains(id) {
                pages.tally.exposed += 1;
            } else {
                assert!(pages.left.contains(id), "an honest session was ended: {id}, {reason}");
            }
        }
        let grace = Duration::from_millis(200);
        assert!(pages.slowest <= DEADLINE + grace, "a call took {:?}", pages.slowest);
        let calm = TROUBLE + CALM - Duration::from_secs(10);
        for name in CLIENTS {
            let last = pages.last_good.get(name).copied();
            assert!(
                last.is_some_and(|at| at > calm),
                "{name} cannot call when all is well again, and last could at {last:?}"
            );
        }
    }

    /// Each generation of a session is made once, whoever asked, and however often.
    fn judge_rotations(&self, pages: &mut Pages) {
        let committed = self.database.committed();
        let mut seen = BTreeSet::new();
        for rotation in &committed {
            pages.tally.rotations += 1;
            pages.tally.adopted += u64::from(rotation.adopted);
            let first = seen.insert((rotation.session_id, rotation.generation));
            assert!(first || self.plan.has_restore, "two successors of one token: {rotation:?}");
        }
        let answered = pages.tally.refreshes;
        pages.tally.repeated += answered.saturating_sub(pages.tally.rotations);
    }
}

async fn come_back_later(book: Book) -> Result<(), Box<dyn std::error::Error>> {
    tokio::time::sleep(Duration::from_secs(20)).await;
    if book.pages().tally.restores == 0 { come_back(book).await } else { Ok(()) }
}

/// In one of so many seeds the log is searched for tokens.
const LISTENED: u64 = 25;
const TICK: Duration = Duration::from_millis(100);
