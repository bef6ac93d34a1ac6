//! A service's program on a directory of its own, as an operator runs it.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]
#![expect(clippy::missing_panics_doc, reason = "every step of a test may panic")]

mod managed;
pub mod unit;
pub mod upgrade;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

pub use self::managed::Managed;

/// Which program it is.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "each service says it of itself")]
pub struct Program {
    /// Its file.
    pub path: &'static str,
    /// What it says before the address that it listens on.
    pub ready: &'static str,
    /// The settings with which it works on the directory `data` of its place.
    pub data: &'static [&'static str],
}

/// A directory, and the program that works on it.
#[derive(Debug)]
pub struct Place {
    dir: TempDir,
    program: Program,
}

/// How a command ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Place {
    /// A new one.
    #[must_use]
    pub fn of(program: Program) -> Self {
        Self { dir: TempDir::new().unwrap(), program }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in it, and gives back its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The program, with `args` and nothing of this process's environment.
    pub fn program(&self, args: &[&str]) -> Command {
        let mut program = Command::new(self.program.path);
        program.args(args).env_clear().current_dir(&self.dir).stdin(Stdio::null());
        program
    }

    /// Runs the program until it ends.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, &[])
    }

    /// Runs the program with these variables until it ends.
    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ended {
        Ended::of(self.program(args).envs(variables.iter().copied()).output().unwrap())
    }

    /// [`Self::run`], on the data directory in it.
    pub fn on_data(&self, args: &[&str]) -> Ended {
        self.run(&[args, self.program.data].concat())
    }

    /// The same, where it must succeed: what it printed.
    pub fn done(&self, args: &[&str]) -> String {
        let ended = self.on_data(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        ended.stdout
    }

    /// The same, where it must fail: what it complained of.
    pub fn refused(&self, args: &[&str]) -> String {
        let ended = self.on_data(args);
        assert_eq!(ended.code, Some(1), "{args:?}: {ended:?}");
        ended.stderr
    }

    /// A file of the data directory.
    pub fn data(&self, name: &str) -> PathBuf {
        self.path("data").join(name)
    }

    /// What is in the data directory.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(self.path("data")).unwrap();
        files
            .map(|file| file.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }

    /// [`Self::on_data`], with a line of standard input.
    pub fn told(&self, args: &[&str], line: &str) -> Ended {
        let mut program = self.program(&[args, self.program.data].concat());
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        // A program that refuses before it reads has closed its end.
        let _ = writeln!(child.stdin.take().unwrap(), "{line}");
        Ended::of(child.wait_with_output().unwrap())
    }

    /// Starts the service, and waits until it is ready.
    pub fn serve(&self, args: &[&str]) -> Serving {
        self.start(self.serving(args).stderr(Stdio::null()))
    }

    /// The same, under a service manager.
    pub fn manage(&self, args: &[&str]) -> Managed {
        Managed::start(self, args)
    }

    /// The program, as a service on the data directory.
    fn serving(&self, args: &[&str]) -> Command {
        self.program(&[&["serve", "--listen=127.0.0.1:0"], self.program.data, args].concat())
    }

    /// Starts it, and waits until it is ready.
    fn start(&self, program: &mut Command) -> Serving {
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix(self.program.ready).expect(&line);
        Serving { address: address.parse().unwrap(), child }
    }
}

/// A service that runs until this goes: then it is killed, at whatever it is doing.
#[derive(Debug)]
#[non_exhaustive]
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
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
pub async fn sql(file: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
