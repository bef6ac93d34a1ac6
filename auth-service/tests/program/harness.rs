//! Runs the program on a directory of its own.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// A directory, and the program that works on it.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in it, and gives back its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The program, with `args` and nothing of this process's environment.
    pub(crate) fn program(&self, args: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_auth-service"));
        program.args(args).env_clear().current_dir(&self.dir).stdin(Stdio::null());
        program
    }

    /// Runs the program until it ends.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, &[])
    }

    /// Runs the program with these variables until it ends.
    pub(crate) fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ended {
        Ended::of(self.program(args).envs(variables.iter().copied()).output().unwrap())
    }

    /// [`Self::run`], on the data directory in it.
    pub(crate) fn on_data(&self, args: &[&str]) -> Ended {
        self.run(&[args, DATA].concat())
    }

    /// The same, where it must succeed: what it printed.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let ended = self.on_data(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        ended.stdout
    }

    /// The same, where it must fail: what it complained of.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let ended = self.on_data(args);
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        ended.stderr
    }

    /// A file of the data directory.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.path("data").join(name)
    }

    /// What is in the data directory.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(self.path("data")).unwrap();
        files
            .map(|file| file.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }

    /// [`Self::on_data`], with a line of standard input.
    pub(crate) fn told(&self, args: &[&str], line: &str) -> Ended {
        let mut program = self.program(&[args, DATA].concat());
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        // A program that refuses before it reads has closed its end.
        let _ = writeln!(child.stdin.take().unwrap(), "{line}");
        Ended::of(child.wait_with_output().unwrap())
    }

    /// Starts the service, and waits until it is ready.
    pub(crate) fn serve(&self, args: &[&str]) -> Serving {
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let mut program = self.program(&[&serve, DATA, args].concat());
        let mut child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("AuthService is ready on ").expect(&line);
        Serving { address: address.parse().unwrap(), child }
    }
}

/// A service that runs until this goes: then it is killed, at whatever it is doing.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Ended {
    fn of(ended: std::process::Output) -> Self {
        Self {
            code: ended.status.code(),
            stdout: String::from_utf8(ended.stdout).unwrap(),
            stderr: String::from_utf8(ended.stderr).unwrap(),
        }
    }
}

/// Changes a database as no program does.
pub(crate) async fn sql(file: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

const DATA: &[&str] = &["--data-dir=data", "--hash-memory-kib=64", "--hash-iterations=1"];
