//! Two processes that have nothing in common but a file.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use clap::Args;
use client_sdk::{Session, store::FileStore};
use evergreen_proto::api::v1::ListTreesRequest;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};
use tonic::Code;

use super::{super::stage::api_at, arena::Arena, finding::Finding};
use crate::{lab::Failure, paint};

/// Make one call with the session in a file, when a line on standard input says so.
#[derive(Args, Clone, Debug)]
pub(crate) struct Rival {
    #[arg(long)]
    auth_url: String,
    #[arg(long)]
    api_url: String,
    #[arg(long)]
    tokens: PathBuf,
}

impl Rival {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::builder(self.auth_url)
            .proactive(false)
            .store(FileStore::open(&self.tokens)?)
            .connect()
            .await?;
        let mut api = api_at(self.api_url, &session).await?;
        paint::line(READY)?;
        BufReader::new(tokio::io::stdin()).read_line(&mut String::new()).await?;
        api.list_trees(ListTreesRequest::default()).await?;
        Ok(())
    }
}

pub(super) async fn play(arena: &Arena) -> Result<Finding, Failure> {
    let (mut revoked, mut failed, mut refreshes, mut once_each) = (0, 0, 0, true);
    for trial in 0..TRIALS {
        let tokens = arena.stage.dir.path().join(format!("tokens-{trial}.json"));
        let session = arena.client_in_file(&tokens).await?;
        let one = Process::start(arena, &tokens).await?;
        let other = Process::start(arena, &tokens).await?;
        arena.access_tokens_run_out();
        let (one, other) = tokio::try_join!(one.call(), other.call())?;
        failed += usize::from(!one) + usize::from(!other);
        let refused = arena.stage.api_seen.count("ListTrees", Code::Unauthenticated);
        // Both were refused what both had read, and one of them has refreshed.
        once_each &= refused == 2 && arena.refreshes() == 1;
        refreshes += arena.refreshes();
        revoked += usize::from(session.refresh().await.is_err());
    }
    Ok(Finding {
        shown: revoked.to_string(),
        figures: json!({
            "trials": TRIALS, "revoked": revoked, "failed": failed, "refreshes": refreshes,
        }),
        holds: revoked == 0 && failed == 0 && once_each,
    })
}

/// This very program as another process, which has read the tokens and waits for a word.
struct Process {
    child: Child,
    word: ChildStdin,
}

impl Process {
    async fn start(arena: &Arena, tokens: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["demo-rival", "--auth-url", &arena.stage.auth.url()])
            .args(["--api-url", &arena.stage.api.url(), "--tokens"])
            .arg(tokens)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(word), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process has no standard input or output".into());
        };
        let mut said = BufReader::new(said).lines();
        match said.next_line().await? {
            Some(line) if line == READY => Ok(Self { child, word }),
            _ => Err("a process that was to make a call ended before".into()),
        }
    }

    /// Whether its call succeeds.
    async fn call(mut self) -> Result<bool, Failure> {
        self.word.write_all(b"go\n").await?;
        Ok(self.child.wait().await?.success())
    }
}

const TRIALS: usize = 10;
const READY: &str = "ready";
