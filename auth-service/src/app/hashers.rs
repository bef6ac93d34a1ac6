//! Threads for hashing.

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};

/// Threads that let all others go first, so that logins take the time that refreshes leave.
///
/// A thread cannot be given its priority back without privileges, so they are none of the server's
/// others. Each is started when it is first needed, and stays: until it has lowered itself, a new one is
/// as good as the one that started it, and may keep that from running for as long as the system gives
/// to each in its turn.
#[derive(Debug)]
pub(super) struct Hashers(Option<Runtime>);

impl Hashers {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(most.get())
            .thread_name("password-hash")
            .thread_keep_alive(Duration::MAX)
            .on_thread_start(go_last)
            .build();
        Self(Some(runtime.expect("a runtime without drivers asks nothing of the system")))
    }

    /// Runs `work` on one of them, whether or not anybody waits for it to its end. `None` if it panics,
    /// or the system refuses the first thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let runtime = self.0.as_ref().expect("it is there until this is dropped");
        // Of a refused thread tokio tells by a panic.
        let begun = catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(work)));
        begun.ok()?.await.ok()
    }
}

impl Drop for Hashers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Whoever drops this may be asynchronous, and must not wait.
            runtime.shutdown_background();
        }
    }
}

/// On Linux the niceness is of the thread alone (setpriority(2)). Not being let is no reason not to log
/// anybody in.
#[cfg(target_os = "linux")]
fn go_last() {
    let _ = rustix::process::nice(NICE);
}

#[cfg(not(target_os = "linux"))]
fn go_last() {}

/// How much nicer than the others: a tenth of their weight.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

#[cfg(test)]
mod tests {
    use std::thread::{ThreadId, current};

    use super::*;

    #[cfg(target_os = "linux")]
    const NICEST: i32 = 19;

    #[cfg(target_os = "linux")]
    fn priority() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn they_let_others_go_first_and_nobody_else_does() {
        let before = priority();
        let hashing = Hashers::new(NonZeroUsize::MIN).run(priority).await.unwrap();
        assert_eq!(hashing, (before + NICE).min(NICEST));
        // This thread, and those that it starts.
        assert_eq!(priority(), before);
        assert_eq!(tokio::task::spawn_blocking(priority).await.unwrap(), before);
    }

    /// However nice the whole server is.
    #[cfg(target_os = "linux")]
    #[test]
    fn they_are_nicer_than_a_server_that_is_nice_itself() {
        let server = std::thread::spawn(|| {
            let before = rustix::process::nice(5).unwrap();
            let runtime = Builder::new_current_thread().build().unwrap();
            let hashers = Hashers::new(NonZeroUsize::MIN);
            let hashing = runtime.block_on(hashers.run(priority)).unwrap();
            assert_eq!(hashing, (before + NICE).min(NICEST));
        });
        server.join().unwrap();
    }

    #[tokio::test]
    async fn one_thread_makes_one_hash_after_another_and_survives_a_panic() {
        let hashers = Hashers::new(NonZeroUsize::MIN);
        let id = || current().id();
        let first: ThreadId = hashers.run(id).await.unwrap();
        assert!(hashers.run(|| -> () { panic!("a bug, on purpose") }).await.is_none());
        assert_eq!(hashers.run(id).await, Some(first));
        assert_ne!(first, id());
    }
}
