//! An application in a process of its own, which shares its store with others. It does one thing at
//! a time, as it is told to over its standard input, and can be halted at a refresh.
//!
//! It is a test binary that was started again: the binary has an ignored test which calls [`main`].

use std::{
    env,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use client_sdk::{
    AuthServiceRefresher, AuthenticationError, RefreshFuture, RefreshRequest, Refresher, Renewal,
    Session, store::FileStore,
};
use evergreen_proto::auth::v1::{GetCurrentUserRequest, auth_service_client::AuthServiceClient};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, stdin},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Mutex as AsyncMutex, mpsc},
    time::timeout,
};
use tonic::transport::Endpoint;

use crate::process::PATIENCE;

/// The handle of an application. It is killed with it.
#[derive(Debug)]
pub struct Application {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Application {
    /// Starts it on the store at `path` and the AuthService at `url`. `test` is the ignored test that
    /// calls [`main`].
    ///
    /// # Panics
    ///
    /// If the system refuses a process.
    #[must_use]
    pub fn start(test: &str, path: &Path, url: &str) -> Self {
        let mut child = Command::new("sh")
            // A write beyond the file-size limit then fails, as on a full disk, and kills nobody.
            .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#])
            .arg(env::current_exe().expect("a test knows where it is"))
            .args(["--ignored", "--exact", "--nocapture", "--test-threads=1", test])
            .env(STORE, path)
            .env(URL, url)
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
        let said = async {
            while let Some(line) = self.stdout.next_line().await.expect("its output is text") {
                // The test harness writes to the same line.
                if let Some((_, said)) = line.split_once(MARK) {
                    return said.to_owned();
                }
            }
            panic!("the application is gone");
        };
        timeout(PATIENCE, said).await.expect("the application says something")
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

/// The application itself; nothing where it was not started as one.
///
/// It says `ok` and what the session holds, or `error` and what went wrong, to each of
///
/// - `open <milliseconds>`: opens store and session, with that much time for a refresh;
/// - `call`: makes a call; `refresh`: asks for new tokens;
/// - `halt before` and `halt after`: the next attempt to refresh says `before` when it is about to be
///   sent, or `after` when it is answered, and goes on when it hears `go`; or counts as unanswered
///   when it hears `fail`.
///
/// # Panics
///
/// On everything else, which ends the process.
pub fn main() {
    let (Ok(path), Ok(url)) = (env::var(STORE), env::var(URL)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(serve(path, url));
}

async fn serve(path: String, url: String) {
    let (go, heard) = mpsc::channel(1);
    let channel = Endpoint::from_shared(url.clone()).expect("a URL").connect_lazy();
    let refresher = Halting {
        inner: AuthServiceRefresher::new(channel.clone()),
        halt: Arc::default(),
        heard: Arc::new(AsyncMutex::new(heard)),
    };
    let mut session = None;
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("its input is text") {
        match line.split_once(' ').unwrap_or((line.as_str(), "")) {
            ("open", millis) => {
                let budget = Duration::from_millis(millis.parse().expect("a number"));
                let opened = async {
                    let store = FileStore::open(&path)?;
                    let builder = Session::builder(url.clone()).channel(channel.clone());
                    let builder = builder.refresher(refresher.clone()).store(store);
                    builder
                        .budget(budget)
                        .attempt_timeout(PATIENCE)
                        .cool_down(Duration::ZERO)
                        .connect()
                        .await
                };
                let opened = opened.await;
                say(&report(opened.as_ref().err(), opened.as_ref().ok()));
                session = opened.ok();
            }
            ("halt", when) => {
                *refresher.halt.lock().expect("nothing panics holding it") = when.to_owned();
                say("ok");
            }
            ("go" | "fail", _) => go.send(line).await.expect("the refresher listens"),
            (command, _) => {
                let (command, session) =
                    (command.to_owned(), session.clone().expect("a session was opened"));
                // The task goes on while this listens.
                tokio::spawn(async move {
                    let done = match command.as_str() {
                        "call" => call(&session).await,
                        "refresh" => session.refresh().await,
                        _ => panic!("{command}?"),
                    };
                    say(&report(done.as_ref().err(), Some(&session)));
                });
            }
        }
    }
}

async fn call(session: &Session) -> Result<(), AuthenticationError> {
    let mut client = AuthServiceClient::new(session.auth_channel()?);
    let answer = client.get_current_user(GetCurrentUserRequest {}).await;
    answer.map(drop).map_err(|status| {
        let ours = AuthenticationError::from_status(&status);
        ours.unwrap_or_else(|| AuthenticationError::Service(Arc::new(status)))
    })
}

fn report(error: Option<&AuthenticationError>, session: Option<&Session>) -> String {
    use secrecy::ExposeSecret as _;
    if let Some(error) = error {
        return format!("error {error:?}");
    }
    let token = session.and_then(Session::access_token);
    format!("ok {}", token.as_ref().map_or("", |token| token.expose_secret()))
}

fn say(what: &str) {
    println!("{MARK}{what}");
}

/// AuthService's refresher, which can be halted.
#[derive(Clone, Debug)]
struct Halting {
    inner: AuthServiceRefresher,
    halt: Arc<Mutex<String>>,
    heard: Arc<AsyncMutex<mpsc::Receiver<String>>>,
}

impl Halting {
    /// Whether the attempt goes on.
    async fn passes(&self, point: &str) -> bool {
        {
            let mut halt = self.halt.lock().expect("nothing panics holding it");
            if *halt != point {
                return true;
            }
            halt.clear();
        }
        say(point);
        self.heard.lock().await.recv().await.expect("it is told to go on") == "go"
    }
}

impl Refresher for Halting {
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_> {
        Box::pin(async move {
            let failed = || Renewal::Unreachable { message: "halted".into(), retry_after: None };
            if !self.passes("before").await {
                return failed();
            }
            let answer = self.inner.refresh(request).await;
            if self.passes("after").await { answer } else { failed() }
        })
    }
}

const STORE: &str = "EVERGREEN_APPLICATION_STORE";
const URL: &str = "EVERGREEN_APPLICATION_URL";
/// Before everything that it says.
const MARK: &str = "application: ";
