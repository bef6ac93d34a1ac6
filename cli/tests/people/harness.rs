//! The real command against a real pair.

use std::{process::Stdio, sync::Arc, time::Duration};

use auth_service::UserKind;
use cli::lab::{Running, start_api, start_auth};
use private_authority::{Authority, Signed};
use serde_json::Value;
use tempfile::TempDir;
use token::{
    clock::{Clock as _, ManualClock, SystemClock},
    entropy::SystemEntropy,
};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};
use transport::recorder::Recorder;

/// Both services, and people who use them.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) auth: Running,
    pub(crate) api: Running,
    /// Both servers' clock.
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) auth_seen: Arc<Recorder>,
    pub(crate) api_seen: Arc<Recorder>,
    dir: TempDir,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        Self::start_with(false, |_, _| {}).await
    }

    /// Over TLS with this certificate, and clients must have one of the same CA.
    pub(crate) async fn encrypted(authority: &Authority, server: &Signed) -> Self {
        let ca = authority.file();
        let api_service = authority.client("api-service");
        Self::start_with(false, |auth, api| {
            auth.tls_cert = Some(server.certificate.clone());
            auth.tls_key = Some(server.key.clone());
            auth.tls_client_ca = Some(ca.to_owned());
            api.tls_cert.clone_from(&auth.tls_cert);
            api.tls_key.clone_from(&auth.tls_key);
            api.tls_client_ca.clone_from(&auth.tls_client_ca);
            api.auth_ca = Some(ca.to_owned());
            api.auth_client_cert = Some(api_service.certificate.clone());
            api.auth_client_key = Some(api_service.key.clone());
        })
        .await
    }

    /// With a user `root`, who is an administrator.
    pub(crate) async fn with_admin() -> Self {
        Self::start_with(true, |_, _| {}).await
    }

    async fn start_with(
        admin: bool,
        change: impl FnOnce(&mut auth_service::Config, &mut api_service::Config),
    ) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock::new().now()));
        let auth_seen = Arc::new(Recorder::new());
        let mut config = auth_service::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: dir.path().to_owned(),
            open_registration: true,
            hash_memory_kib: 64,
            hash_iterations: 1,
            ..auth_service::Config::default()
        };
        let mut api_config = api_service::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: dir.path().to_owned(),
            ..api_service::Config::default()
        };
        change(&mut config, &mut api_config);
        if admin {
            let entropy = Arc::new(SystemEntropy);
            let (clock, seen) = (clock.clone(), auth_seen.clone());
            let server = auth_service::Server::open(config.clone(), clock, entropy, seen).await;
            let server = server.unwrap();
            server.create_user("root", PASSWORD, UserKind::Admin).await.unwrap();
            server.close().await;
        }
        let (auth, accounts) = loop {
            let started = start_auth(config.clone(), clock.clone(), auth_seen.clone(), false).await;
            match started {
                // A process that another test is just starting has the lock for a moment, too.
                Err(error) if admin && error.to_string().contains("in use") => {
                    tokio::task::yield_now().await;
                }
                started => break started.unwrap(),
            }
        };
        api_config.auth_url = auth.url();
        accounts.configure(&mut api_config);
        let api_seen = Arc::new(Recorder::new());
        let api = start_api(api_config, clock.clone(), api_seen.clone(), None).await.unwrap();
        Self { auth, api, clock, auth_seen, api_seen, dir }
    }

    /// Somebody with a place for profiles of their own, who is not logged in.
    pub(crate) fn person(&self, name: &str) -> Person {
        Person {
            home: self.dir.path().join("people").join(name),
            env: vec![
                ("EVERGREEN_AUTH_URL".into(), self.auth.url()),
                ("EVERGREEN_API_URL".into(), self.api.url()),
            ],
        }
    }

    /// The same, registered and logged in.
    pub(crate) async fn user(&self, name: &str) -> Person {
        let person = self.person(name);
        person.feed(&["register", name, "--password-stdin"], PASSWORD).await.ok();
        person
    }
}

/// Somebody at a keyboard that is no terminal.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) home: std::path::PathBuf,
    env: Vec<(String, String)>,
}

impl Person {
    /// Somebody without servers.
    pub(crate) fn nobody() -> Self {
        Self { home: "/nowhere".into(), env: vec![] }
    }

    /// The same, in another environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.env.retain(|(other, _)| other != name);
        self
    }

    /// What a command does.
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.feed(args, "").await
    }

    /// What it does with this standard input.
    pub(crate) async fn feed(&self, args: &[&str], input: &str) -> Ran {
        Self::ran(self.command(args), args, input).await
    }

    /// What another program does in this person's environment.
    pub(crate) async fn program(&self, name: &str, args: &[&str]) -> Ran {
        Self::ran(self.command_of(name, args), args, "").await
    }

    async fn ran(mut command: Command, args: &[&str], input: &str) -> Ran {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command may end without reading what it is given.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        Ran {
            args: args.join(" "),
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it prints with `--json`, once it has gone well.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        serde_json::from_str(&self.run(&args).await.ok()).unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_evergreen"), args)
    }

    fn command_of(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("TERM", "xterm")
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("EVERGREEN_CONFIG_DIR", &self.home)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    args: String,
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed, if it went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "evergreen {}\n{}{}", self.args, self.out, self.err);
        self.out
    }

    /// What it complained of, if it failed with this exit code and printed nothing else.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!((self.code, &*self.out), (code, ""), "evergreen {}\n{}", self.args, self.err);
        self.err
    }
}

impl Ran {
    /// The same, which failed with this exit code and may have printed something.
    #[track_caller]
    pub(crate) fn code_is(self, code: i32) -> Self {
        assert_eq!(self.code, code, "evergreen {}\n{}{}", self.args, self.out, self.err);
        self
    }

    /// Complained of this.
    #[track_caller]
    pub(crate) fn err_has(self, text: &str) {
        assert!(self.err.contains(text), "evergreen {}\n{}", self.args, self.err);
    }
}

/// A password that is good enough.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// Longer than any command takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
