//! The two programs, started on a directory of their own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    thread::available_parallelism,
    time::Duration,
};

use evergreen_proto::auth::v1::{LoginRequest, TokenPair, auth_service_client::AuthServiceClient};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    time::{Instant, timeout},
};
use transport::process::raise_open_files;

use crate::{
    bench::{connect, system},
    lab::{DEMO_PASSWORD, DEMO_USER, Failure},
};

/// Where the programs are, and the directory that they work on.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    dir: TempDir,
    /// The one processor that they have, if they are kept to one.
    processor: Option<&'static str>,
}

/// A program that serves. It is killed with its handle.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) url: String,
    /// How long it took from its start until it said that it is ready.
    pub(super) started_in: Duration,
    /// What it takes is asked of this.
    pub(super) process: system::Process,
    child: Child,
}

impl Programs {
    /// The programs in `folder`, or beside this one. This process may then open as many files as it is
    /// allowed to: it is many clients.
    pub(super) fn find(folder: Option<PathBuf>) -> Result<Self, Failure> {
        let here = env::current_exe()?;
        let folder = folder.or_else(|| here.parent().map(Path::to_owned)).unwrap_or_default();
        for program in [AUTH, API] {
            if !folder.join(program).is_file() {
                let place = folder.display();
                return Err(format!(
                    "there is no `{program}` in {place}; build it beside this program with `cargo \
                     build --release`, or say where it is with --programs"
                )
                .into());
            }
        }
        raise_open_files();
        Ok(Self { folder, dir: TempDir::new()?, processor: None })
    }

    /// Gives the first processor to the programs, and the others to this process, if there are others.
    pub(super) async fn apart_from_callers(self) -> Result<Self, Failure> {
        let processors = available_parallelism()?.get();
        if processors == 1 {
            return Ok(self);
        }
        let [here, others] = [std::process::id().to_string(), format!("1-{}", processors - 1)];
        let mut taskset = Command::new(TASKSET);
        taskset.args(["--all-tasks", "--cpu-list", "--pid", &others, &here]).stdout(Stdio::null());
        let moved = taskset.status().await;
        if !moved.map_err(|error| format!("{TASKSET} (util-linux): {error}"))?.success() {
            return Err(format!("{TASKSET} cannot keep this process to processors {others}").into());
        }
        Ok(Self { processor: Some("0"), ..self })
    }

    /// Makes the user [`DEMO_USER`], as an operator does before the first start.
    pub(super) async fn make_user(&self, settings: &[&str]) -> Result<(), Failure> {
        let user = ["user", "create", DEMO_USER, "--password-stdin"];
        self.operate(&[&user, settings].concat(), DEMO_PASSWORD).await.map(drop)
    }

    /// Starts AuthService with these settings.
    pub(super) async fn auth(&self, settings: &[&str]) -> Result<Serving, Failure> {
        self.serve(AUTH, "AuthService", settings, &[]).await
    }

    /// Makes an account for ApiService: its id and its secret. AuthService must not run.
    pub(super) async fn account(&self) -> Result<[String; 2], Failure> {
        let made = self.operate(&["service", "create", API], "").await?;
        let word = |name: &str| {
            let line = made.lines().find_map(|line| line.strip_prefix(name));
            line.map(|word| word.trim().to_owned()).ok_or("no account was shown")
        };
        Ok([word("client_id")?, word("client_secret")?])
    }

    /// Starts ApiService, which follows the revocations of this AuthService with that account.
    pub(super) async fn api(
        &self,
        auth: &Serving,
        [id, secret]: &[String; 2],
        settings: &[&str],
    ) -> Result<Serving, Failure> {
        let settings = [&["--auth-url", &auth.url, "--client-id", id], settings].concat();
        self.serve(API, "ApiService", &settings, &[("EVERGREEN_API_CLIENT_SECRET", secret)]).await
    }

    async fn serve(
        &self,
        program: &str,
        name: &str,
        settings: &[&str],
        secrets: &[(&str, &str)],
    ) -> Result<Serving, Failure> {
        let log = self.dir.path().join(format!("{program}.log"));
        let start = Instant::now();
        let mut child = self
            .command(program, &[&["serve", "--listen", "127.0.0.1:0"], settings].concat())
            .envs(secrets.iter().copied())
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("its standard output is a pipe")?;
        let mut said = BufReader::new(stdout).lines();
        let ready = format!("{name} is ready on ");
        let line = timeout(PATIENCE, said.next_line()).await??.unwrap_or_default();
        let Some(address) = line.strip_prefix(&ready) else {
            let why = fs::read_to_string(&log)?;
            return Err(format!("{program} does not start: {}", why.trim()).into());
        };
        let started_in = start.elapsed();
        let id = child.id().ok_or("it ended as soon as it was ready")?;
        // Nobody reads what else it says; it may go on saying it.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Ok(Serving {
            url: format!("http://{address}"),
            started_in,
            process: system::Process::Other(id),
            child,
        })
    }

    /// Carries out one of AuthService's commands, and gives back what it printed.
    async fn operate(&self, args: &[&str], input: &str) -> Result<String, Failure> {
        let mut child =
            self.command(AUTH, args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().ok_or("its standard input is a pipe")?;
        // One that refuses before it reads has closed its end.
        let _ = stdin.write_all(format!("{input}\n").as_bytes()).await;
        drop(stdin);
        let ended = child.wait_with_output().await?;
        if !ended.status.success() {
            return Err(String::from_utf8_lossy(&ended.stderr).trim().into());
        }
        Ok(String::from_utf8(ended.stdout)?)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let program = self.folder.join(program);
        let mut command = match self.processor {
            Some(processor) => {
                let mut command = Command::new(TASKSET);
                command.args(["--cpu-list", processor]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .args(args)
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            // Settings of the environment would be other settings.
            .env_clear()
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Serving {
    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        kill_process(id.ok_or("it has ended by itself")?, Signal::TERM)?;
        let ended = timeout(PATIENCE, self.child.wait()).await??;
        if ended.success() { Ok(()) } else { Err(format!("a program ended badly: {ended}").into()) }
    }

    /// Tokens of [`DEMO_USER`] at this AuthService.
    pub(super) async fn login(&self) -> Result<TokenPair, Failure> {
        let request = LoginRequest {
            username: DEMO_USER.into(),
            password: DEMO_PASSWORD.into(),
            ..LoginRequest::default()
        };
        let answer = AuthServiceClient::new(connect(&self.url).await?).login(request).await?;
        Ok(answer.into_inner().tokens.ok_or("Login answered without tokens")?)
    }
}

/// To log in is not what is measured.
pub(super) const CHEAP_HASHES: [&str; 4] = ["--hash-memory-kib", "64", "--hash-iterations", "1"];
const TASKSET: &str = "taskset";
const AUTH: &str = "auth-service";
const API: &str = "api-service";
const PATIENCE: Duration = Duration::from_secs(60);
