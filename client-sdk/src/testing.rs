//! For tests: a refresher that does what it is told to, and the judge of stores.

// It needs real threads and real time.
#[cfg(not(interleaved))]
mod store_contract;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::{Semaphore, watch};

#[cfg(not(interleaved))]
pub use self::store_contract::{store_contract, store_watch_contract};
use crate::{RefreshFuture, RefreshRequest, Refresher, Renewal, TokenPair};

/// A [`Refresher`] without a network. Clones share the script and the record.
///
/// Attempts are answered by the script, in order, and then with pairs named `access-1`/`refresh-1`,
/// `access-2`/`refresh-2` and so on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), client_sdk::AuthenticationError> {
/// use client_sdk::{Session, TokenPair, testing::ScriptedRefresher};
///
/// let refresher = ScriptedRefresher::new();
/// let session = Session::custom(refresher.clone()).connect().await?;
/// session.set_tokens(TokenPair::new("old").refresh_token("refresh-0")).await?;
/// session.refresh().await?;
/// assert_eq!(refresher.count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ScriptedRefresher(Arc<Inner>);

struct Inner {
    script: Mutex<VecDeque<Step>>,
    requests: Mutex<Vec<RefreshRequest>>,
    minted: Mutex<u64>,
    count: watch::Sender<usize>,
    held: Semaphore,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            script: Mutex::default(),
            requests: Mutex::default(),
            minted: Mutex::default(),
            count: watch::channel(0).0,
            held: Semaphore::new(0),
        }
    }
}

/// What becomes of one attempt.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// It is answered so.
    Answer(Renewal),
    /// It waits for [`ScriptedRefresher::release`], then gets the next pair.
    Hold,
    /// It waits for [`ScriptedRefresher::release`], then is answered so.
    HoldThen(Renewal),
    /// It is never answered.
    Never,
    /// The refresher panics.
    Panic,
    /// It gets the next pair.
    Renew,
}

impl ScriptedRefresher {
    /// A refresher that gives each attempt the next pair.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step to the script.
    #[must_use]
    pub fn then(self, step: Step) -> Self {
        self.push(step);
        self
    }

    /// Adds a step to the script.
    pub fn push(&self, step: Step) {
        lock(&self.0.script).push_back(step);
    }

    /// Adds `n` attempts that do not get through.
    #[must_use]
    pub fn then_unreachable(self, n: usize) -> Self {
        for _ in 0..n {
            self.push(Step::Answer(unreachable_for(None)));
        }
        self
    }

    /// Lets one attempt that is held go on, now or when it comes.
    pub fn release(&self) {
        self.0.held.add_permits(1);
    }

    /// How many attempts there were.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.count.borrow()
    }

    /// Waits for the `n`th attempt.
    pub async fn reached(&self, n: usize) {
        let mut count = self.0.count.subscribe();
        // The sender lives as long as `self`.
        let _ = count.wait_for(|count| *count >= n).await;
    }

    /// All attempts so far.
    #[must_use]
    pub fn requests(&self) -> Vec<RefreshRequest> {
        lock(&self.0.requests).clone()
    }

    async fn released(&self) {
        self.0.held.acquire().await.expect("it is never closed").forget();
    }

    fn mint(&self) -> Renewal {
        let mut minted = lock(&self.0.minted);
        *minted += 1;
        Renewal::Renewed(pair(*minted))
    }
}

impl fmt::Debug for ScriptedRefresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedRefresher").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl Refresher for ScriptedRefresher {
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_> {
        Box::pin(async move {
            lock(&self.0.requests).push(request);
            let step = lock(&self.0.script).pop_front().unwrap_or(Step::Renew);
            self.0.count.send_modify(|count| *count += 1);
            match step {
                Step::Answer(renewal) => renewal,
                Step::Hold => {
                    self.released().await;
                    self.mint()
                }
                Step::HoldThen(renewal) => {
                    self.released().await;
                    renewal
                }
                Step::Never => std::future::pending().await,
                Step::Panic => panic!("as scripted"),
                Step::Renew => self.mint(),
            }
        })
    }
}

/// The pair `access-n`/`refresh-n` of session `s1`, good for 15 minutes.
#[must_use]
pub fn pair(n: u64) -> TokenPair {
    TokenPair::new(format!("access-{n}"))
        .refresh_token(format!("refresh-{n}"))
        .access_expires_in(Duration::from_secs(900))
        .session_id("s1")
}

/// An attempt that did not get through.
#[must_use]
pub fn unreachable_for(retry_after: Option<Duration>) -> Renewal {
    Renewal::Unreachable { message: "as scripted".to_owned(), retry_after }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while holding it")
}
