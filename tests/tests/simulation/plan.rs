//! What goes wrong, and when: drawn from a seed before anything runs.

use std::time::Duration;

use tests::chance::Chance;

/// One thing that happens to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes between these hosts any more.
    Cut(&'static str, &'static str),
    /// Nothing passes from the first to the second: requests, or answers, are lost.
    CutOneWay(&'static str, &'static str),
    /// Everything passes again.
    Mend(&'static str, &'static str),
    /// What is sent between these hosts is kept back.
    Hold(&'static str, &'static str),
    /// What was kept back is delivered, late.
    Release(&'static str, &'static str),
    Crash(&'static str),
    /// A server is killed, and starts with its clock off by so many milliseconds.
    CrashWithClock(&'static str, i64),
    Start(&'static str),
    /// Storage takes up to so many milliseconds.
    Dawdle(u64),
    Backup,
    /// Both AuthServices are down, and the database is put back to the backup.
    Restore,
    /// A new master key is put into the ring that the servers share; one of them reads it at once.
    RotateRing,
    /// Somebody copies what this client's store holds.
    Steal(usize),
}

/// Everything that happens in one seed, in order.
#[derive(Debug)]
pub struct Plan {
    pub faults: Vec<(Duration, Fault)>,
    pub has_restore: bool,
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let chance = Chance::of(seed, 1);
        let mut faults = Vec::new();
        let at = |chance: &Chance| chance.millis(3_000, TROUBLE.as_millis() as u64 - 8_000);
        for _ in 0..chance.below(5) {
            let (client, server) = (chance.pick(&CLIENTS), chance.pick(&SERVERS));
            let start = at(&chance);
            let end = start + chance.millis(200, 8_000);
            let (fault, mend) = match chance.below(4) {
                0 => (Fault::Cut(client, server), Fault::Mend(client, server)),
                1 => (Fault::CutOneWay(client, server), Fault::Mend(client, server)),
                // The answers are lost.
                2 => (Fault::CutOneWay(server, client), Fault::Mend(server, client)),
                _ => (Fault::Hold(client, server), Fault::Release(client, server)),
            };
            faults.extend([(start, fault), (end, mend)]);
        }
        for _ in 0..chance.below(4) {
            let host = chance.pick(&HOSTS);
            let start = at(&chance);
            // Clocks of two AuthServices may differ by what their settings allow; they step a long
            // way together, below.
            let skewed = SERVERS.contains(&host).then(|| chance.below(1_800) as i64 - 900);
            let crash = skewed.map_or(Fault::Crash(host), |off| Fault::CrashWithClock(host, off));
            faults.push((start, crash));
            faults.push((start + chance.millis(50, 5_000), Fault::Start(host)));
        }
        if chance.one_in(6) {
            // The site's clock is stepped: back by up to an hour, or ahead by up to a day.
            let off = if chance.one_in(2) { -3_600_000 } else { 86_400_000 };
            let start = at(&chance);
            for server in SERVERS {
                faults.push((start, Fault::CrashWithClock(server, off)));
                faults.push((start + Duration::from_millis(500), Fault::Start(server)));
                faults.push((TROUBLE, Fault::CrashWithClock(server, 0)));
                faults.push((TROUBLE + Duration::from_millis(500), Fault::Start(server)));
            }
        }
        if chance.one_in(3) {
            faults.push((at(&chance), Fault::Dawdle(chance.below(4_000))));
            faults.push((TROUBLE, Fault::Dawdle(5)));
        }
        if chance.one_in(3) {
            faults.push((at(&chance), Fault::RotateRing));
        }
        // What a restore brings back or takes away with a thief about is not promised.
        let has_restore = chance.one_in(5);
        if has_restore {
            let start = chance.millis(3_000, 15_000);
            let lost = start + chance.millis(100, 10_000);
            faults.push((start, Fault::Backup));
            for auth in AUTHS {
                faults.push((lost, Fault::Crash(auth)));
                faults.push((lost + Duration::from_millis(600), Fault::Start(auth)));
            }
            faults.push((lost + Duration::from_millis(300), Fault::Restore));
        } else if chance.one_in(2) {
            faults.push((at(&chance), Fault::Steal(chance.below(CLIENTS.len() as u64) as usize)));
        }
        faults.sort_by_key(|(at, _)| *at);
        Self { faults, has_restore }
    }
}

pub const AUTHS: [&str; 2] = ["auth0", "auth1"];
pub const SERVERS: [&str; 3] = ["auth0", "auth1", "api"];
/// The last two share a store.
pub const CLIENTS: [&str; 4] = ["ada", "bob", "cyd", "cyd-too"];
pub const HOSTS: [&str; 7] = ["auth0", "auth1", "api", "ada", "bob", "cyd", "cyd-too"];

/// After this everything works again.
pub const TROUBLE: Duration = Duration::from_secs(30);
/// Longer than the refresh window, the rival window and every back-off.
pub const CALM: Duration = Duration::from_secs(40);
