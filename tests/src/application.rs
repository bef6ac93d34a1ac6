//! An application in a process of its own, which shares its store with others. It does one thing at
//! a time, as it is told to over its standard input, and can be halted at a refresh.
//!
//! It says `ok` and what the session holds, or `error` and what went wrong, to each of
//!
//! - `open <milliseconds>`: opens store and session, with that much time for a refresh;
//! - `call`: makes a call; `refresh`: asks for new tokens;
//! - `halt before` and `halt after`: the next attempt to refresh says `before` when it is about to be
//!   sent, or `after` when it is answered, and goes on when it hears `go`; or counts as unanswered
//!   when it hears `fail`.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::process::PATIENCE;

/// The handle of an application. It is killed with it.
#[derive(Debug)]
pub struct Application {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Application {
    /// Starts `program`, Cargo's `application`, on the store at `path` and the AuthService at `url`.
    ///
    /// # Panics
    ///
    /// If the system refuses a process.
    #[must_use]
    pub fn start(program: &str, path: &Path, url: &str) -> Self {
        let mut child = Command::new("sh")
            // A write beyond the file-size limit then fails, as on a full disk, and kills nobody.
            .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#])
            .arg(program)
            .arg(path)
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process can be started");
        let stdin = child.stdin.take().expect("its standard input is a pipe");
        let stdout = child.stdout.take().expect("its standard output is a pipe");
        Self { child, stdin, stdout: BufReader::new(stdout).lines() }
    }

    /// Tells it something, without waiting for what comes of it.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub async fn tell(&mut self, command: &str) {
        let line = format!("{command}\n");
        self.stdin.write_all(line.as_bytes()).await.expect("the application listens");
    }

    /// What it says next.
    ///
    /// # Panics
    ///
    /// If it is gone, or says nothing for long.
    pub async fn hear(&mut self) -> String {
        let said = timeout(PATIENCE, self.stdout.next_line()).await;
        let said = said.expect("the application says something").expect("its output is text");
        said.expect("the application is there")
    }

    /// Tells it something, and returns what it says.
    pub async fn ask(&mut self, command: &str) -> String {
        self.tell(command).await;
        self.hear().await
    }

    /// Suspends it, and returns once nothing of it runs.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn suspend(&self) {
        kill_process(self.pid(), Signal::STOP).expect("the process is ours to stop");
        let stopped = waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("it is our child");
        assert!(stopped.is_some_and(|(_, status)| status.stopped()), "it ended instead");
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).expect("the process is ours to resume");
    }

    /// Kills it with SIGKILL, and returns once it is gone.
    ///
    /// # Panics
    ///
    /// If it does not go.
    pub async fn kill(&mut self) -> ExitStatus {
        self.child.start_kill().expect("the process is ours to kill");
        timeout(PATIENCE, self.child.wait()).await.expect("it goes").expect("it is our child")
    }

    /// Sets how large a file it may write: `None` lifts it.
    ///
    /// # Panics
    ///
    /// If there is no `prlimit` (util-linux), or it fails.
    pub async fn limit_file_size(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let pid = self.child.id().expect("the process has not ended");
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--pid={pid}")).arg(format!("--fsize={limit}:"));
        let done = timeout(PATIENCE, prlimit.status()).await.expect("prlimit ends");
        assert!(done.expect("prlimit is installed").success());
    }

    fn pid(&self) -> Pid {
        let id = self.child.id().expect("the process has not ended");
        i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process has an id")
    }
}
