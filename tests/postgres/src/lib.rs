//! A PostgreSQL server of one's own, for as long as a test process lives.
//!
//! Nothing has to be set up: if PostgreSQL's binaries are installed, [`Postgres::start`] makes a
//! cluster in a temporary directory and serves it on a Unix socket there. The server ends with its
//! handle, and with the process however that ends, since a guardian shell waits for the end of a
//! pipe that only this process holds open.
//!
//! A server can have a [standby](Postgres::standby), which follows it until it is
//! [promoted](Postgres::promote).
//!
//! As root the server runs as the user `postgres`, because it refuses to run as root.
//!
//! ```no_run
//! use private_postgres::{Durability, Postgres};
//!
//! let Some(postgres) = Postgres::start(Durability::ProcessCrash)? else { return Ok(()) };
//! let url = postgres.create_database("shelf")?;
//! assert!(url.starts_with("postgres://"));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, Command, Output, Stdio},
    sync::{
        LazyLock, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a commit is synced to the disk or is not")]
pub enum Durability {
    /// The death of the server's processes: what they had written is with the operating system.
    ProcessCrash,
    /// The loss of power: every commit is synced to the disk, as in production.
    PowerLoss,
}

/// What a commit on the primary waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a commit waits for the standby or does not")]
pub enum Replication {
    /// Nothing: the standby is behind by what it has not received yet.
    Asynchronous,
    /// The standby has it too.
    Synchronous,
}

/// A running server, and the directory it lives in.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    durability: Durability,
    running: Mutex<Option<Guarded>>,
    directory: TempDir,
}

/// The guardian, and the pipe whose end tells it to stop the server.
#[derive(Debug)]
struct Guarded {
    guardian: Child,
    lifeline: ChildStdin,
    /// Told whenever the server says that it is ready; gone once all its processes are.
    ready: Receiver<()>,
}

impl Postgres {
    /// Starts a server, or tells on standard error why there is none. `None` only if PostgreSQL is
    /// not installed.
    ///
    /// # Errors
    ///
    /// If it is installed and cannot be started, or if it is not installed and the environment
    /// variable `EVERGREEN_REQUIRE_POSTGRES` is set.
    pub fn start(durability: Durability) -> io::Result<Option<Self>> {
        let Some(bin) = installed() else {
            let absent = "PostgreSQL is not installed (no initdb in PATH or /usr/lib/postgresql)";
            if env::var_os("EVERGREEN_REQUIRE_POSTGRES").is_some() {
                return Err(io::Error::other(absent));
            }
            let _ = writeln!(io::stderr(), "SKIPPED: {absent}");
            return Ok(None);
        };
        let server = Self::in_a_directory_of_its_own(bin, durability)?;
        done(
            &server
                .command("initdb")
                .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"])
                .args(["--no-sync", "--no-instructions", "--pgdata"])
                .arg(server.data())
                .output()?,
        )?;
        server.serve()?;
        Ok(Some(server))
    }

    fn in_a_directory_of_its_own(bin: PathBuf, durability: Durability) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("evergreen-postgres-").tempdir()?;
        if let Some(owner) = owner() {
            std::os::unix::fs::chown(directory.path(), Some(owner.uid), Some(owner.gid))?;
        }
        Ok(Self { bin, durability, running: Mutex::default(), directory })
    }

    /// The server that all tests of this process share: each takes a database of its own.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is installed and cannot be started, or is required and not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: LazyLock<Option<Postgres>> = LazyLock::new(|| {
            Postgres::start(Durability::ProcessCrash).expect("a private PostgreSQL starts")
        });
        SHARED.as_ref()
    }

    /// Makes an empty database, and gives its URL.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub fn create_database(&self, name: &str) -> io::Result<String> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url(name))
    }

    /// Starts a standby of this server, which follows it from now on.
    ///
    /// # Errors
    ///
    /// If it cannot be made, or does not come to follow.
    pub fn standby(&self, replication: Replication) -> io::Result<Self> {
        let standby = Self::in_a_directory_of_its_own(self.bin.clone(), self.durability)?;
        done(
            &standby
                .command("pg_basebackup")
                .args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf"])
                .args(["--username=postgres", "--host"])
                .arg(self.directory.path())
                .arg("--pgdata")
                .arg(standby.data())
                .output()?,
        )?;
        standby.serve()?;
        // Only now, or the copy would wait for a standby of its own once it is promoted.
        let state = match replication {
            Replication::Asynchronous => "async",
            Replication::Synchronous => {
                self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
                self.sql("postgres", "SELECT pg_reload_conf()")?;
                "sync"
            }
        };
        let following = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        self.until(&format!("{following} AND sync_state = '{state}'"), "1")?;
        Ok(standby)
    }

    /// Lets a standby receive nothing more; what is committed from now on it does not know.
    ///
    /// # Errors
    ///
    /// If this is no standby, or does not stop.
    pub fn stop_following(&self) -> io::Result<()> {
        self.sql("postgres", "ALTER SYSTEM SET primary_conninfo = ''")?;
        self.sql("postgres", "SELECT pg_reload_conf()")?;
        self.until("SELECT count(*) FROM pg_stat_wal_receiver", "0")
    }

    /// Makes a standby the primary.
    ///
    /// # Errors
    ///
    /// If this is no standby, or it takes too long.
    pub fn promote(&self) -> io::Result<()> {
        match self.sql("postgres", "SELECT pg_promote()")?.as_str() {
            "t" => Ok(()),
            said => Err(io::Error::other(format!("it is not promoted: {said}"))),
        }
    }

    fn until(&self, question: &str, answer: &str) -> io::Result<()> {
        let mut said = String::new();
        for _ in 0..QUESTIONS {
            said = self.sql("postgres", question)?;
            if said == answer {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        Err(io::Error::other(format!("{question}: {said:?}, and not {answer:?}")))
    }

    /// The URL of a database of this server or of `other`, whichever is the primary.
    #[must_use]
    pub fn url_of_either(&self, other: &Self, database: &str) -> String {
        format!("postgres://postgres@{},{}/{database}", self.host(), other.host())
    }

    /// The URL of a database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.host())
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join(".s.PGSQL.5432")
    }

    fn host(&self) -> String {
        self.directory.path().display().to_string().replace('/', "%2F")
    }

    /// Runs statements in a database, and gives what they print.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub fn sql(&self, database: &str, statements: &str) -> io::Result<String> {
        let output = self
            .command("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--username=postgres", "--dbname", database, "--host"])
            .arg(self.directory.path())
            .args(["--command", statements])
            .output()?;
        done(&output).map(|text| text.trim().to_owned())
    }

    /// Kills the server and all its processes, as a loss of power would.
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn kill(&self) -> io::Result<()> {
        let pid = fs::read_to_string(self.data().join("postmaster.pid"))?;
        let pid = pid.lines().next().unwrap_or_default().to_owned();
        // While it stands still it can have no more children than those that are listed then.
        Command::new("kill").args(["-STOP", &pid]).status()?;
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &pid]).output()?;
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let all: Vec<_> = children.split_whitespace().chain([pid.as_str()]).collect();
        Command::new("kill").arg("-KILL").args(&all).stderr(Stdio::null()).status()?;
        if let Some(Guarded { mut guardian, mut lifeline, ready }) = self.lock().take() {
            // A process that is not gone yet still holds the memory that they shared, and a new server
            // would not start beside it. What it held of the log it lets go after that.
            loop {
                match ready.recv_timeout(PATIENCE) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(late @ RecvTimeoutError::Timeout) => return Err(io::Error::other(late)),
                }
            }
            lifeline.write_all(b"keep\n")?;
            guardian.wait()?;
        }
        Ok(())
    }

    /// Serves again after [`Postgres::kill`]: the server recovers what was committed.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub fn serve(&self) -> io::Result<()> {
        let sync = match self.durability {
            Durability::ProcessCrash => "off",
            Durability::PowerLoss => "on",
        };
        let mut guardian = self
            .command("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .arg(self.bin.join("postgres"))
            .arg("-D")
            .arg(self.data())
            .args(["-c", "listen_addresses=", "-c", "max_connections=300"])
            .args(["-c", &format!("fsync={sync}"), "-c", &format!("full_page_writes={sync}")])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.directory.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let lifeline = guardian.stdin.take().expect("its standard input is a pipe");
        let said = guardian.stderr.take().expect("its standard error is a pipe");
        let path = self.directory.path().join("log");
        let ready = keep_log(said, fs::File::create(&path)?);
        // Not at all, if it is gone before that.
        let is_ready = ready.recv_timeout(PATIENCE).is_ok();
        *self.lock() = Some(Guarded { guardian, lifeline, ready });
        if is_ready {
            return Ok(());
        }
        let log = fs::read_to_string(path)?;
        Err(io::Error::other(format!("PostgreSQL does not come up:\n{log}")))
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Guarded>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A program of PostgreSQL, or of the system if it has none of that name, as the user that may
    /// run a server.
    fn command(&self, program: &str) -> Command {
        let own = self.bin.join(program);
        let mut command = Command::new(if own.exists() { own } else { program.into() });
        command.current_dir(self.directory.path()).env("LC_ALL", "C");
        if let Some(owner) = owner() {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(Guarded { mut guardian, lifeline, .. }) = self.lock().take() {
            drop(lifeline);
            let _ = guardian.wait();
        }
    }
}

/// Keeps what a server says, and tells whenever it says that it is ready to be connected to, for as
/// long as one of its processes lives: each has its standard error open until it is gone.
fn keep_log(said: ChildStderr, mut log: fs::File) -> Receiver<()> {
    let (ready, told) = channel();
    thread::spawn(move || {
        for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
            // Nobody is left to hear of a directory that is gone, or of a server that nobody has.
            let _ = log.write_all(&line).and_then(|()| log.write_all(b"\n"));
            if String::from_utf8_lossy(&line).contains("database system is ready to accept") {
                let _ = ready.send(());
            }
        }
    });
    told
}

/// Runs the server until the pipe ends. Unless told to keep it, it then sweeps up the directory: a
/// process that died cannot. The server's log is for the server to hold open.
const GUARDIAN: &str = r#"
"$@" </dev/null & server=$!
exec 2>/dev/null
read -r word
kill -QUIT $server
wait $server
[ "$word" = keep ] || rm -rf "$PWD"
"#;

/// Where initdb is: in the path, or where Debian puts the newest version.
fn installed() -> Option<PathBuf> {
    let in_path = env::var_os("PATH")
        .into_iter()
        .flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort_by_key(|bin| std::cmp::Reverse(version(bin)));
    versions.into_iter().chain(in_path).find(|bin| {
        bin.join("initdb").exists() && bin.join("postgres").exists() && bin.join("psql").exists()
    })
}

fn version(bin: &Path) -> Option<u32> {
    bin.parent()?.file_name()?.to_str()?.parse().ok()
}

struct Owner {
    uid: u32,
    gid: u32,
}

/// Whom the server runs as, if this process may not run one itself.
fn owner() -> Option<Owner> {
    if fs::metadata("/proc/self").map(|this| this.uid()).unwrap_or(1) != 0 {
        return None;
    }
    let id = |flag| -> Option<u32> {
        let output = Command::new("id").args([flag, "postgres"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    Some(Owner { uid: id("-u")?, gid: id("-g")? })
}

fn done(output: &Output) -> io::Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// How long a start may take, or an end: crash recovery takes a while.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often servers are asked whether one follows the other: there is no event to wait for.
const QUESTIONS: u32 = 1_500;
/// How long they are left alone between two questions.
const POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_survives_a_kill_and_the_directory_goes_with_the_handle() {
        let Some(postgres) = Postgres::start(Durability::ProcessCrash).unwrap() else { return };
        let url = postgres.create_database("shelf").unwrap();
        assert!(url.ends_with("/shelf"), "{url}");
        postgres
            .sql("shelf", "CREATE TABLE book (id bigint); INSERT INTO book VALUES (7)")
            .unwrap();
        postgres.kill().unwrap();
        assert!(postgres.sql("shelf", "SELECT 1").is_err(), "it is dead");
        postgres.serve().unwrap();
        assert_eq!(postgres.sql("shelf", "SELECT id FROM book").unwrap(), "7");
        let directory = postgres.directory.path().to_owned();
        drop(postgres);
        assert!(!directory.exists());
    }

    #[test]
    fn a_server_that_does_not_come_up_says_why() {
        let Some(postgres) = Postgres::start(Durability::ProcessCrash).unwrap() else { return };
        postgres.kill().unwrap();
        fs::write(postgres.data().join("postgresql.auto.conf"), "shelves = 'many'").unwrap();
        let error = postgres.serve().unwrap_err().to_string();
        assert!(error.contains("\"shelves\""), "{error}");
    }

    #[test]
    fn a_standby_has_what_it_received_and_takes_writes_once_it_is_promoted() {
        for (replication, books) in
            [(Replication::Synchronous, "7\n8"), (Replication::Asynchronous, "8")]
        {
            let Some(primary) = Postgres::start(Durability::ProcessCrash).unwrap() else { return };
            primary.create_database("shelf").unwrap();
            primary.sql("shelf", "CREATE TABLE book (id bigint)").unwrap();
            let standby = primary.standby(replication).unwrap();
            assert!(standby.sql("shelf", "INSERT INTO book VALUES (6)").is_err(), "it only reads");
            if replication == Replication::Asynchronous {
                standby.stop_following().unwrap();
            }
            primary.sql("shelf", "INSERT INTO book VALUES (7)").unwrap();
            primary.kill().unwrap();
            standby.promote().unwrap();
            standby.sql("shelf", "INSERT INTO book VALUES (8)").unwrap();
            assert_eq!(standby.sql("shelf", "SELECT id FROM book ORDER BY id").unwrap(), books);
        }
    }
}
