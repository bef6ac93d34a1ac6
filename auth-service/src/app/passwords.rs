//! Hashing of passwords: argon2id, bounded in memory and in queue, away from the async threads.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use argon2::{Block, password_hash::phc};
use token::entropy::Entropy;
#[cfg(test)]
use tokio::sync::oneshot;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use transport::{
    metrics::{Counter, Metrics, counter},
    overload::Spread,
};

use crate::{
    app::{
        argon::{HashParams, Memory, hash, is_outdated, verify},
        error::AppError,
        hashers::Hashers,
    },
    domain::secret::{PasswordHash, PlainPassword},
};

/// How much hashing there may be at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashLimits {
    /// Hashes under way: each takes the memory of its parameters.
    pub(crate) concurrent: NonZeroUsize,
    /// Hashes that wait for their turn.
    pub(crate) queued: usize,
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    params: HashParams,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    /// Stands in for the hash of a user who does not exist, so that the answer takes as long.
    dummy: PasswordHash,
    memory: Memory,
    entropy: Arc<dyn Entropy>,
    hashers: Hashers,
    place: Place,
    limits: HashLimits,
    refused: Counter,
    spread: Spread,
    pub(crate) made: Made,
}

/// Where hashes are made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// On threads of their own.
    Apart,
    /// Where they are asked for: in a simulation no thread may run beside the simulator's.
    #[cfg(any(test, feature = "simulation"))]
    Inline,
}

/// What came of checking a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It is the one.
    Proven {
        /// Whether its hash was made with other parameters than those in force.
        outdated: bool,
    },
    /// It is not.
    Wrong,
}

impl Passwords {
    pub(crate) fn new(params: HashParams, limits: HashLimits, entropy: Arc<dyn Entropy>) -> Self {
        let unguessable: [u8; 32] = entropy.array();
        let memory = Memory::default();
        let dummy =
            memory.lend(params, |blocks| hash(params, &unguessable, &entropy.array(), blocks));
        Self {
            params,
            running: Arc::new(Semaphore::new(limits.concurrent.get())),
            admitted: Arc::new(Semaphore::new(limits.concurrent.get() + limits.queued)),
            dummy,
            memory,
            entropy,
            hashers: Hashers::new(limits.concurrent),
            place: Place::Apart,
            limits,
            refused: counter(
                "password_hashes_refused_total",
                "Password hashes that found the queue full",
            ),
            spread: Spread::default(),
            made: Made::default(),
        }
    }

    /// The same in another place.
    pub(crate) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// The hash of a password that is to be stored.
    pub(crate) async fn hash(&self, password: PlainPassword) -> Result<PasswordHash, AppError> {
        let params = self.params;
        let salt: [u8; 16] = self.entropy.array();
        let made = self.made.clone();
        self.run(move |memory| {
            made.note(params);
            hash(params, password.expose().as_bytes(), &salt, memory)
        })
        .await
    }

    /// Whether `password` is the one that `stored` was made from. Without a stored hash it takes the
    /// same time, and the answer is [`Proof::Wrong`].
    pub(super) async fn check(
        &self,
        turn: Turn,
        password: PlainPassword,
        stored: Option<PasswordHash>,
    ) -> Result<Proof, AppError> {
        let params = self.params;
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.dummy.clone());
        let made = self.made.clone();
        let work = move |memory: &mut Vec<Block>| {
            // A hash that cannot be read proves nothing, but must not answer sooner.
            let Ok(parsed) = phc::PasswordHash::new(stored.as_phc()) else {
                made.note(params);
                let _ = hash(params, password.expose().as_bytes(), &[0; 16], memory);
                return Proof::Wrong;
            };
            let outdated = is_outdated(&parsed, params);
            made.note_stored(&parsed);
            let proven = verify(&parsed, password.expose().as_bytes(), memory);
            if proven && exists { Proof::Proven { outdated } } else { Proof::Wrong }
        };
        self.run_in(turn, work).await
    }

    /// Has a hash begin, and end when the other end of `released` is dropped.
    #[cfg(test)]
    pub(crate) async fn hold(
        &self,
        begun: oneshot::Sender<()>,
        released: std::sync::mpsc::Receiver<()>,
    ) {
        let work = move |memory: &mut Vec<Block>| {
            memory.resize(1, Block::new());
            begun.send(()).unwrap();
            released.recv().unwrap_err();
        };
        self.run(work).await.unwrap();
    }

    /// How many hashes have memory that is kept: as many as ever ran at a time.
    #[cfg(test)]
    pub(crate) fn memories(&self) -> usize {
        self.memory.kept()
    }

    /// Tells how many hashes run and wait, whenever it is asked for.
    pub(super) fn measure(&self, metrics: &Metrics) {
        metrics.register(&self.refused);
        let (running, admitted) = (Arc::clone(&self.running), Arc::clone(&self.admitted));
        let HashLimits { concurrent, queued } = self.limits;
        let (concurrent, queued) = (concurrent.get(), queued);
        let under_way = move || concurrent.saturating_sub(running.available_permits());
        let taken = move || (concurrent + queued).saturating_sub(admitted.available_permits());
        let help = "Password hashes that are being made";
        let runs = under_way.clone();
        metrics.reading("password_hashes_running", help, &[], move || runs() as f64);
        let help = "Password hashes that wait for their turn";
        metrics.reading("password_hashes_waiting", help, &[], move || {
            taken().saturating_sub(under_way()) as f64
        });
        let help = "Password hashes that may wait; more are refused";
        metrics.reading("password_hashes_waiting_max", help, &[], move || queued as f64);
    }

    /// A place among the hashes that run or wait, if there is one left.
    pub(super) fn admit(&self) -> Result<Admitted<'_>, AppError> {
        let permit = Arc::clone(&self.admitted).try_acquire_owned();
        let permit = permit.map_err(|_| {
            self.refused.inc();
            self.overloaded()
        })?;
        Ok(Admitted { running: &self.running, permit })
    }

    /// Runs `work` when its turn comes.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let turn = self.admit()?.turn().await;
        self.run_in(turn, work).await
    }

    /// Runs `work` where hashes are made.
    async fn run_in<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let (memory, params) = (self.memory.clone(), self.params);
        // The turn goes with the work: a caller who hangs up frees nothing before it is done.
        let work = move || {
            let done = memory.lend(params, work);
            drop(turn);
            done
        };
        let done = match self.place {
            Place::Apart => self.hashers.run(work).await,
            #[cfg(any(test, feature = "simulation"))]
            Place::Inline => Some(work()),
        };
        done.ok_or_else(|| self.overloaded())
    }

    /// What somebody is told for whose password there is no room.
    pub(super) fn overloaded(&self) -> AppError {
        AppError::Overloaded { retry_after: self.spread.after(RETRY_AFTER) }
    }
}

/// A place among the hashes that run or wait.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    running: &'a Arc<Semaphore>,
    permit: OwnedSemaphorePermit,
}

impl Admitted<'_> {
    /// Waits until this hash is the next.
    pub(super) async fn turn(self) -> Turn {
        let running = Arc::clone(self.running).acquire_owned().await;
        Turn { _permits: [self.permit, running.expect("the semaphore is never closed")] }
    }
}

/// A hash that may be made at once.
#[derive(Debug)]
pub(super) struct Turn {
    _permits: [OwnedSemaphorePermit; 2],
}

/// What was hashed, for tests to count: memory in KiB, passes and lanes of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    #[cfg(test)]
    costs: Arc<std::sync::Mutex<Vec<(u32, u32, u32)>>>,
}

#[cfg(not(test))]
#[expect(clippy::unused_self, reason = "tests count")]
impl Made {
    fn note(&self, _: HashParams) {}

    fn note_stored(&self, _: &phc::PasswordHash) {}
}

#[cfg(test)]
impl Made {
    fn note(&self, params: HashParams) {
        let cost = (params.memory_kib, params.iterations, params.parallelism);
        self.costs.lock().unwrap().push(cost);
    }

    fn note_stored(&self, hash: &phc::PasswordHash) {
        let params = argon2::Params::try_from(hash).unwrap();
        self.costs.lock().unwrap().push((params.m_cost(), params.t_cost(), params.p_cost()));
    }

    pub(crate) fn take(&self) -> Vec<(u32, u32, u32)> {
        std::mem::take(&mut self.costs.lock().unwrap())
    }
}

/// Some tens of hashes from now there is room again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use token::entropy::SeededEntropy;

    use super::*;

    const CHEAP: HashParams = HashParams { memory_kib: 16, iterations: 1, parallelism: 1 };

    fn passwords(params: HashParams, queued: usize) -> Passwords {
        let limits = HashLimits { concurrent: NonZeroUsize::MIN, queued };
        Passwords::new(params, limits, Arc::new(SeededEntropy::new(1)))
    }

    async fn check(
        passwords: &Passwords,
        password: &str,
        stored: Option<PasswordHash>,
    ) -> Result<Proof, AppError> {
        let turn = passwords.admit()?.turn().await;
        passwords.check(turn, plain(password), stored).await
    }

    fn plain(password: &str) -> PlainPassword {
        PlainPassword::presented(password.into()).unwrap()
    }

    #[tokio::test]
    async fn only_the_password_itself_is_proven() {
        let passwords = passwords(CHEAP, 4);
        let stored = passwords.hash(plain("one")).await.unwrap();
        let check = async |password, stored| check(&passwords, password, stored).await.unwrap();
        assert_eq!(check("one", Some(stored.clone())).await, Proof::Proven { outdated: false });
        assert_eq!(check("two", Some(stored.clone())).await, Proof::Wrong);
        assert_eq!(check("one", None).await, Proof::Wrong);
        let damaged = PasswordHash::from_phc("damaged".into());
        assert_eq!(check("one", Some(damaged)).await, Proof::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_is_proven_and_outdated() {
        let stored = passwords(CHEAP, 1).hash(plain("one")).await.unwrap();
        let dearer = passwords(HashParams { iterations: 2, ..CHEAP }, 1);
        let proof = check(&dearer, "one", Some(stored)).await.unwrap();
        assert_eq!(proof, Proof::Proven { outdated: true });
    }

    #[tokio::test]
    async fn what_the_queue_cannot_hold_is_told_when_to_come_back() {
        let passwords = passwords(CHEAP, 1);
        // One runs, one waits.
        let _running = Arc::clone(&passwords.running).try_acquire_owned().unwrap();
        let _first = Arc::clone(&passwords.admitted).try_acquire_owned().unwrap();
        let _second = Arc::clone(&passwords.admitted).try_acquire_owned().unwrap();
        let refused = async || match check(&passwords, "one", None).await {
            Err(AppError::Overloaded { retry_after }) => retry_after,
            other => panic!("{other:?}"),
        };
        let (one, other) = (refused().await, refused().await);
        assert!(one >= RETRY_AFTER && other >= RETRY_AFTER && one != other, "{one:?} {other:?}");
    }

    #[test]
    fn no_thread_waits_for_a_hash() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let passwords = passwords(CHEAP, 0);
            let (release, released) = std::sync::mpsc::channel::<()>();
            let (begin, begun) = oneshot::channel();
            let elsewhere = async {
                begun.await.unwrap();
                let free = tokio::task::spawn_blocking(|| ());
                let found = tokio::time::timeout(Duration::from_secs(20), free).await;
                drop(release);
                found.expect("the one blocking thread is free").unwrap();
            };
            tokio::join!(passwords.hold(begin, released), elsewhere);
        });
    }

    #[tokio::test]
    async fn a_hash_that_panics_is_told_as_overload_and_takes_no_room() {
        let passwords = passwords(CHEAP, 0);
        for _ in 0..3 {
            let failed = passwords.run(|_| -> () { panic!("a bug, on purpose") }).await;
            assert!(matches!(failed, Err(AppError::Overloaded { .. })));
        }
        passwords.run(|_| ()).await.unwrap();
    }

    #[tokio::test]
    async fn a_caller_who_hangs_up_frees_nothing_before_the_work_is_done() {
        let passwords = passwords(CHEAP, 0);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (started, has_started) = oneshot::channel();
        {
            let work = passwords.run(move |_| {
                started.send(()).unwrap();
                released.recv().unwrap();
            });
            tokio::select! {
                biased;
                _ = work => unreachable!("the work is not released yet"),
                _ = has_started => {}
            }
        }
        assert!(matches!(passwords.run(|_| ()).await, Err(AppError::Overloaded { .. })));
        release.send(()).unwrap();
        // The permit comes back when the work is done, and not a moment before.
        let _permit = Arc::clone(&passwords.admitted).acquire_owned().await.unwrap();
    }
}
