//! Whether a server may be sent calls.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout},
};

/// Whether a server may be sent calls. Clones share it.
///
/// It is not ready before it serves, nor from the moment in which it begins to drain, nor while one
/// of its checks fails. Checks are bounded, and what they found holds for a second: probes, however
/// many, cannot press what is checked.
///
/// ```
/// use transport::ops::{Readiness, Unready};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let readiness = Readiness::new([Unready::check("database", || async { Err("does not answer") })]);
/// readiness.serves();
/// let found = readiness.look().await;
/// assert_eq!(found[0].to_string(), "database: does not answer");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    phase: watch::Sender<Phase>,
    checks: Vec<Unready>,
    /// What the last look found, and when it had.
    last: Mutex<Option<(Instant, Vec<NotReady>)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starts,
    Serves,
    Drains,
}

/// What is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotReady {
    /// What it is.
    pub what: &'static str,
    /// Why not; holds no secret.
    pub why: &'static str,
}

/// Tells whether something that a server needs is not there.
pub struct Unready {
    what: &'static str,
    check: Box<dyn Fn() -> Found + Send + Sync>,
}

type Found = Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>>;

impl Unready {
    /// Asks `check` for `what`; its error says why not.
    pub fn check<F>(what: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), &'static str>> + Send + 'static,
    {
        Self { what, check: Box::new(move || Box::pin(check())) }
    }
}

impl Readiness {
    /// Of a server that starts.
    #[must_use]
    pub fn new(checks: impl IntoIterator<Item = Unready>) -> Self {
        let checks = checks.into_iter().collect();
        Self(Arc::new(Inner {
            phase: watch::Sender::new(Phase::Starts),
            checks,
            last: Mutex::default(),
        }))
    }

    /// It serves from now on, unless it drains already.
    pub fn serves(&self) {
        self.0.phase.send_if_modified(|phase| {
            let starts = *phase == Phase::Starts;
            if starts {
                *phase = Phase::Serves;
            }
            starts
        });
    }

    /// It drains from now on.
    pub fn drains(&self) {
        self.0.phase.send_replace(Phase::Drains);
    }

    /// What is not ready; nothing if the server may be sent calls.
    pub async fn look(&self) -> Vec<NotReady> {
        if let Some(not_ready) = self.phase() {
            return vec![not_ready];
        }
        // In a task of its own, so that a probe that hangs up does not have the next one begin anew.
        let this = self.clone();
        let found = tokio::spawn(async move { this.look_again().await }).await;
        let found = found.unwrap_or_else(|_| vec![NotReady { what: "checks", why: "have failed" }]);
        // It may have begun to drain meanwhile.
        self.phase().map_or(found, |not_ready| vec![not_ready])
    }

    fn phase(&self) -> Option<NotReady> {
        let why = match *self.0.phase.borrow() {
            Phase::Starts => "starts",
            Phase::Serves => return None,
            Phase::Drains => "drains",
        };
        Some(NotReady { what: "server", why })
    }

    /// What the checks find, or found a moment ago.
    async fn look_again(&self) -> Vec<NotReady> {
        let mut last = self.0.last.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < HOLDS
        {
            return found.clone();
        }
        let looks = self
            .0
            .checks
            .iter()
            .map(|check| (check.what, tokio::spawn(timeout(PATIENCE, (check.check)()))));
        // All of them are under way before the first is awaited.
        let looks: Vec<_> = looks.collect();
        let mut found = Vec::new();
        for (what, look) in looks {
            let why = match look.await {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(why))) => why,
                Ok(Err(_)) => "did not answer in time",
                Err(_) => "could not be checked",
            };
            found.push(NotReady { what, why });
        }
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl fmt::Debug for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unready").field("what", &self.what).finish_non_exhaustive()
    }
}

/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long what was found is told again.
const HOLDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::advance;

    use super::*;

    fn names(found: &[NotReady]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_server_is_ready_only_while_it_serves() {
        let readiness = Readiness::new([]);
        assert_eq!(names(&readiness.look().await), ["server: starts"]);
        readiness.serves();
        assert!(readiness.look().await.is_empty());
        readiness.drains();
        assert_eq!(names(&readiness.look().await), ["server: drains"]);
        // Told to stop while it started.
        readiness.serves();
        assert_eq!(names(&readiness.look().await), ["server: drains"]);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_probe_a_check_is_made_once_a_second_and_none_waits_longer() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let slow = Unready::check("database", move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::pending()
        });
        let readiness = Readiness::new([slow, Unready::check("keys", || async { Ok(()) })]);
        readiness.serves();
        let began = Instant::now();
        let probes: Vec<_> = (0..50)
            .map(|_| {
                let readiness = readiness.clone();
                tokio::spawn(async move { readiness.look().await })
            })
            .collect();
        for probe in probes {
            assert_eq!(names(&probe.await.unwrap()), ["database: did not answer in time"]);
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(began.elapsed(), PATIENCE);
        advance(HOLDS).await;
        readiness.look().await;
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }
}
