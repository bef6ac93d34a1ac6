//! `evergreen soak`: many rotations of many sessions, and what they leave behind.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::Args;
use evergreen_proto::auth::v1::{LoginRequest, TokenPair, auth_service_client::AuthServiceClient};
use serde_json::json;
use tempfile::TempDir;
use token::clock::SystemClock;
use tokio::task::JoinSet;
use tonic::{Status, transport::Channel};

use crate::{
    bench::{Unobserved, attempt, connect, system::Process},
    errors::Error,
    lab::{DEMO_PASSWORD, DEMO_USER, Failure, start_auth},
    paint,
};

/// Rotate sessions of an embedded database many times, and show that it does not grow with it.
///
/// Clients and service share this process, so the memory shown is more than the service's own.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Soak {
    /// Sessions
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    sessions: u32,
    /// Rotations, over all of them
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    rotations: u64,
    /// Calls in flight
    #[arg(long, default_value_t = 64, value_name = "N")]
    in_flight: usize,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// What the database takes.
#[derive(Clone, Copy, Debug)]
struct Size {
    rotations: u64,
    database: u64,
    log: u64,
    resident: Option<u64>,
}

impl Soak {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let dir = TempDir::new()?;
        let config = auth_service::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: dir.path().to_owned(),
            // To log in is not what is measured.
            hash_memory_kib: 64,
            hash_iterations: 1,
            hash_queue: self.in_flight,
            ..auth_service::Config::default()
        };
        let clock = Arc::new(SystemClock::new());
        let (auth, _) = start_auth(config, clock, Arc::new(Unobserved), true).await?;
        let stub = AuthServiceClient::new(connect(&auth.url()).await?);

        let bar = paint::progress(u64::from(self.sessions), "sessions");
        let next = Arc::new(AtomicU64::new(0));
        let begin = |_| {
            let (stub, next, bar) = (stub.clone(), Arc::clone(&next), bar.clone());
            let sessions = u64::from(self.sessions);
            async move {
                let mut begun = Vec::new();
                while next.fetch_add(1, Ordering::Relaxed) < sessions {
                    begun.push(login(stub.clone()).await?);
                    bar.inc(1);
                }
                Ok::<_, Status>(begun)
            }
        };
        let mut begun = (0..self.in_flight).map(begin).collect::<JoinSet<_>>().join_all().await;
        let mut callers = begun.drain(..).collect::<Result<Vec<_>, _>>()?;
        bar.finish_and_clear();

        let bar = paint::progress(self.rotations, "rotations");
        let mut sizes = Vec::new();
        for rotations in [FIRST_LOOK.min(self.rotations), self.rotations] {
            callers = rotate(&stub, callers, rotations - bar.position(), &bar).await?;
            sizes.push(size(dir.path(), rotations));
        }
        bar.finish_and_clear();
        drop((stub, callers));
        auth.stop().await?;
        Ok(self.show(&sizes)?)
    }

    fn show(self, sizes: &[Size]) -> Result<(), Error> {
        if self.json {
            let rows: Vec<_> = sizes
                .iter()
                .map(|size| {
                    json!({
                        "sessions": self.sessions, "rotations": size.rotations,
                        "database_bytes": size.database, "log_bytes": size.log,
                        "peak_resident_bytes": size.resident,
                    })
                })
                .collect();
            return paint::line(json!(rows));
        }
        let header = format!(
            "{:>10} {:>12} {:>14} {:>12} {:>14}",
            "sessions", "rotations", "database", "its log", "peak memory"
        );
        paint::line(paint::styled(paint::HEADING, header))?;
        let kib = |bytes: u64| format!("{} KiB", bytes / 1024);
        for size in sizes {
            paint::line(format_args!(
                "{:>10} {:>12} {:>14} {:>12} {:>14}",
                self.sessions,
                size.rotations,
                kib(size.database),
                kib(size.log),
                size.resident.map_or_else(|| "unknown".to_owned(), kib),
            ))?;
        }
        Ok(())
    }
}

async fn login(mut stub: AuthServiceClient<Channel>) -> Result<TokenPair, Status> {
    let request = LoginRequest {
        username: DEMO_USER.into(),
        password: DEMO_PASSWORD.into(),
        ..LoginRequest::default()
    };
    let answer = stub.login(request).await?.into_inner();
    answer.tokens.ok_or_else(|| Status::internal("Login answered without tokens"))
}

/// Rotates the callers' sessions, each caller its own in turn, `rotations` times in all.
async fn rotate(
    stub: &AuthServiceClient<Channel>,
    callers: Vec<Vec<TokenPair>>,
    rotations: u64,
    bar: &indicatif::ProgressBar,
) -> Result<Vec<Vec<TokenPair>>, Failure> {
    let done = Arc::new(AtomicU64::new(0));
    let rotating = callers.into_iter().map(|mut pairs| {
        let (mut stub, done, bar) = (stub.clone(), Arc::clone(&done), bar.clone());
        async move {
            let mut place = 0;
            while !pairs.is_empty() && done.fetch_add(1, Ordering::Relaxed) < rotations {
                let answer = stub.refresh(attempt(&pairs[place])?).await?.into_inner();
                pairs[place] = answer.tokens.unwrap_or_default();
                place = (place + 1) % pairs.len();
                bar.inc(1);
            }
            Ok::<_, Status>(pairs)
        }
    });
    let rotated = rotating.collect::<JoinSet<_>>().join_all().await;
    Ok(rotated.into_iter().collect::<Result<_, _>>()?)
}

fn size(dir: &Path, rotations: u64) -> Size {
    let length = |name| fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    Size {
        rotations,
        database: length("auth.db"),
        log: length("auth.db-wal"),
        resident: Process::Own.peak(),
    }
}

const FIRST_LOOK: u64 = 10_000;
