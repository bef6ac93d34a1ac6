//! The real `auth-service` as a process of its own: it can be killed, starved and started again.

use std::{
    env,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use rustix::process::{Pid, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::OnceCell,
    time::timeout,
};

pub use rustix::process::Signal;

/// How to start an AuthService, again and again, on the same files and port.
#[derive(Debug)]
pub struct AuthProgram {
    /// Where it serves.
    pub address: SocketAddr,
    /// Its `--data-dir`.
    pub data_dir: PathBuf,
    program: PathBuf,
    settings: Vec<String>,
    everywhere: bool,
    log: PathBuf,
}

impl AuthProgram {
    /// The program with its files under `dir`, and with passwords that are cheap to hash. Builds it
    /// if it is not there or is outdated.
    pub async fn in_dir(dir: &Path) -> Self {
        static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
        Self {
            address: port_of_its_own(),
            data_dir: dir.join("data"),
            program: PROGRAM.get_or_init(build).await.clone(),
            settings: Vec::new(),
            everywhere: false,
            log: dir.join("auth-service.log"),
        }
        .with("--open-registration", [])
        .with("--hash-memory-kib", ["64"])
        .with("--hash-iterations", ["1"])
    }

    /// One more setting.
    #[must_use]
    pub fn with<'a>(mut self, flag: &str, value: impl IntoIterator<Item = &'a str>) -> Self {
        self.settings.push(flag.to_owned());
        self.settings.extend(value.into_iter().map(str::to_owned));
        self
    }

    /// Listens on every address of the machine, and not on loopback alone.
    #[must_use]
    pub fn everywhere(self) -> Self {
        Self { everywhere: true, ..self }
    }

    /// Where clients reach it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts it, without waiting for it.
    ///
    /// # Panics
    ///
    /// If the system refuses a process.
    #[must_use]
    pub fn spawn(&self) -> AuthProcess {
        let log = File::options().create(true).append(true).open(&self.log);
        let mut listen = self.address;
        if self.everywhere {
            listen.set_ip(Ipv4Addr::UNSPECIFIED.into());
        }
        let mut child = Command::new("sh")
            // A write beyond the file-size limit then fails, as on a full disk, and kills nobody.
            .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#])
            .arg(&self.program)
            .arg("serve")
            .arg(format!("--listen={listen}"))
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(&self.settings)
            // Settings of the environment would be other settings.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("a log can be written in the test's directory"))
            .kill_on_drop(true)
            .spawn()
            .expect("a process can be started");
        let stdout = child.stdout.take().expect("its standard output is a pipe");
        AuthProcess { child, stdout: BufReader::new(stdout).lines() }
    }

    /// Runs another of its commands on the same files, and gives back what it printed.
    ///
    /// # Panics
    ///
    /// If it fails, or prints what is no text.
    pub async fn run(&self, command: &[&str]) -> String {
        let ended = Command::new(&self.program)
            .args(command)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .env_clear()
            .stdin(Stdio::null())
            .output();
        let ended = ended.await.expect("a process can be started");
        assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).expect("it prints text")
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Panics
    ///
    /// If it does not come to that; the message holds its log.
    pub async fn start(&self) -> AuthProcess {
        let mut process = self.spawn();
        if let Err(error) = process.ready().await {
            panic!("auth-service does not start: {error}\n{}", self.log());
        }
        process
    }

    /// Runs another of its commands on the same files, and gives back its standard output, or its
    /// standard error if it fails.
    ///
    /// # Errors
    ///
    /// What it wrote, if it failed.
    ///
    /// # Panics
    ///
    /// If the system refuses a process, or the program writes what is no text.
    pub async fn command(&self, command: &[&str]) -> Result<String, String> {
        let ended = Command::new(&self.program)
            .args(command)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(&self.settings)
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ended = timeout(PATIENCE, ended).await.expect("a command ends");
        let ended = ended.expect("a process can be started");
        let text = |bytes| String::from_utf8(bytes).expect("the program writes text");
        if ended.status.success() { Ok(text(ended.stdout)) } else { Err(text(ended.stderr)) }
    }

    /// What all its processes have logged.
    ///
    /// # Panics
    ///
    /// If none has been started.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a started process has a log")
    }
}

/// A running AuthService. It is killed with its handle.
#[derive(Debug)]
pub struct AuthProcess {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl AuthProcess {
    /// Waits until it says that it serves.
    ///
    /// # Errors
    ///
    /// If it ends before that, or takes too long.
    pub async fn ready(&mut self) -> io::Result<()> {
        let said = async {
            while let Some(line) = self.stdout.next_line().await? {
                if line.starts_with("AuthService is ready on") {
                    return Ok(());
                }
            }
            Err(io::Error::other("it ended before it was ready"))
        };
        timeout(PATIENCE, said).await?
    }

    /// Waits for the next line that it says.
    ///
    /// # Errors
    ///
    /// If it ends before that, or takes too long.
    pub async fn next_line(&mut self) -> io::Result<String> {
        let line = timeout(PATIENCE, self.stdout.next_line()).await??;
        line.ok_or_else(|| io::Error::other("it said no more"))
    }

    /// Kills it, at whatever it is doing, and waits until it is gone.
    ///
    /// # Panics
    ///
    /// If it had ended before, of its own.
    pub async fn kill(mut self) {
        let ended = self.child.try_wait().expect("the process is ours to ask");
        assert_eq!(ended, None, "auth-service ended before it was killed");
        let killed = timeout(PATIENCE, self.child.kill()).await;
        killed.expect("a killed process is gone soon").expect("the process is ours to kill");
    }

    /// Asks it to stop, as an init system does, and waits until it has: its exit code, none if a
    /// signal ended it.
    ///
    /// # Panics
    ///
    /// If it takes too long.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        kill_process(id.expect("the process has not ended"), signal)
            .expect("the process is ours to ask");
    }

    /// Waits until it has ended: its exit code, none if a signal ended it.
    ///
    /// # Panics
    ///
    /// If it takes too long.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("the process ends");
        ended.expect("the process is ours to wait for").code()
    }

    /// Sets how large a file it may write, as a disk with no more room would: `None` lifts it.
    ///
    /// # Panics
    ///
    /// If there is no `prlimit` (util-linux), or it fails.
    pub async fn limit_file_size(&self, bytes: Option<u64>) {
        let id = self.child.id().expect("the process has not ended");
        // The soft limit alone, which may be raised again.
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--pid={id}")).arg(format!("--fsize={limit}:"));
        let done = timeout(PATIENCE, prlimit.status()).await.expect("prlimit ends");
        assert!(done.expect("prlimit is installed").success());
    }
}

/// A port that is this test's alone for as long as it runs.
///
/// It lies below those that the system gives to outgoing connections: one of these, made while the
/// server is down, could otherwise sit on the server's port, and even be connected to itself.
fn port_of_its_own() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(process::id() % u32::from(PORTS)).expect("it is less than PORTS");
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    (0..PORTS)
        .map(|_| NEXT.fetch_add(1, Ordering::Relaxed))
        .map(|n| address(FIRST_PORT + (start + n) % PORTS))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a port is free")
}

/// Lets cargo bring the program up to date, beside the tests that run, and tells where it is.
///
/// Cargo builds a package's program for that package's own tests only, so it is asked for those, and
/// for the test that asks. Whoever tests the whole workspace has built them all, and waits for a
/// moment: with the same features, and with the same of what is built for the compiler itself, which
/// depends on what is asked for together. To ask for less would be to build nearly all a second time.
async fn build() -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    let folder = test.ancestors().nth(2).expect("tests lie in <target>/<profile>/deps");
    let name = test.file_name().and_then(|name| name.to_str()?.rsplit_once('-'));
    let (name, _) = name.expect("a test is called <name>-<hash>");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--no-run", "--workspace", "--test=program", "--test", name]);
    // Without a word of a profile, tests are in `debug`.
    if let Some(profile) = folder.file_name().filter(|name| *name != "debug") {
        cargo.arg("--profile").arg(profile);
    }
    cargo
        .arg("--target-dir")
        .arg(folder.parent().expect("a profile's folder lies in the target's"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .kill_on_drop(true);
    let built = timeout(BUILD, cargo.status()).await.expect("auth-service is built in time");
    assert!(built.expect("cargo can be started").success(), "auth-service does not build");
    folder.join("auth-service")
}

const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;
/// How long what takes a moment may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a build from nothing may take.
const BUILD: Duration = Duration::from_secs(900);
