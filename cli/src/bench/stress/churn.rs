//! Clients that come and go, for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use client_sdk::{Session, store::MemoryStore};
use evergreen_proto::api::v1::{
    ListCategoriesRequest, ListFoldersRequest, ListTreesRequest, WatchChangesRequest,
    api_service_client::ApiServiceClient,
};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tower::Layer as _;

use super::{
    idle::mebibytes,
    programs::{CHEAP_HASHES, Programs, Serving},
};
use crate::{
    bench::connect,
    errors::Error,
    lab::{DEMO_PASSWORD, DEMO_USER, Failure},
    output::Table,
    paint,
};

/// Let clients of the SDK come, work, refresh and go, and show what the programs keep of them
///
/// Each visit has connections of its own: it logs in, fires calls at once, again and again as its
/// access token runs out, listens for changes, and logs out or goes without a word.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Churn {
    /// For how long
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Clients at a time
    #[arg(long, default_value_t = 64, value_name = "N")]
    clients: usize,
    /// Looks at the programs
    #[arg(long, default_value_t = 20, value_name = "N")]
    looks: u32,
}

/// What was done so far.
#[derive(Debug, Default)]
struct Done {
    visits: AtomicU64,
    calls: AtomicU64,
}

/// What the programs take at a moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Duration,
    visits: u64,
    calls: u64,
    auth: Taken,
    api: Taken,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    memory: Option<u64>,
    files: Option<u64>,
}

impl Taken {
    fn by(serving: &Serving) -> Self {
        Self { memory: serving.process.resident(), files: serving.process.open_files() }
    }
}

impl Churn {
    pub(super) async fn run(self, programs: Programs, json: bool) -> Result<(), Failure> {
        programs.make_user(&CHEAP_HASHES).await?;
        let account = programs.account().await?;
        // Tokens that run out while a visit lasts.
        let auth =
            programs.auth(&[&CHEAP_HASHES[..], &["--access-token-ttl", "1s"]].concat()).await?;
        let api = programs.api(&auth, &account, &[]).await?;
        let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(Done::default()));
        let mut clients = JoinSet::new();
        for number in 0..self.clients {
            let visitor = Visitor {
                auth: auth.url.clone(),
                api: api.url.clone(),
                over: Arc::clone(&over),
                done: Arc::clone(&done),
            };
            clients.spawn(visitor.come_and_go(number));
        }

        let mut looks = Vec::new();
        let bar = paint::progress(self.looks.into(), "looks");
        let start = Instant::now();
        let mut ticks = interval(self.duration / self.looks.max(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while start.elapsed() < self.duration {
            tokio::select! {
                _ = ticks.tick() => {}
                // None ends before it is told to, unless it failed.
                Some(ended) = clients.join_next() => {
                    ended??;
                    return Err("a client ended before it was told to".into());
                }
            }
            looks.push(Look {
                at: start.elapsed(),
                visits: done.visits.load(Ordering::Relaxed),
                calls: done.calls.load(Ordering::Relaxed),
                auth: Taken::by(&auth),
                api: Taken::by(&api),
            });
            bar.inc(1);
        }
        bar.finish_and_clear();
        over.store(true, Ordering::Relaxed);
        for ended in clients.join_all().await {
            ended?;
        }
        api.stop().await?;
        auth.stop().await?;
        Ok(self.show(&looks, json)?)
    }

    fn show(self, looks: &[Look], json: bool) -> Result<(), Error> {
        if json {
            let rows = looks.iter().map(|look| {
                json!({
                    "seconds": look.at.as_secs_f64(), "visits": look.visits, "calls": look.calls,
                    "auth_resident_bytes": look.auth.memory, "auth_open_files": look.auth.files,
                    "api_resident_bytes": look.api.memory, "api_open_files": look.api.files,
                })
            });
            return paint::line(serde_json::Value::from_iter(rows));
        }
        let mut table = Table::new(&[
            "=after",
            "=visits",
            "=calls",
            "=auth-service",
            "=files",
            "=api-service",
            "=files",
        ]);
        let files = |taken: Taken| taken.files.map_or_else(String::new, |files| files.to_string());
        for look in looks {
            table.row([
                &humantime::format_duration(Duration::from_secs(look.at.as_secs())).to_string(),
                &look.visits.to_string(),
                &look.calls.to_string(),
                &mebibytes(look.auth.memory),
                &files(look.auth),
                &mebibytes(look.api.memory),
                &files(look.api),
            ]);
        }
        paint::line(table.render(None))?;
        paint::line(format_args!("{} clients at a time; no call failed.", self.clients))
    }
}

/// A client that comes again and again.
struct Visitor {
    auth: String,
    api: String,
    over: Arc<AtomicBool>,
    done: Arc<Done>,
}

impl Visitor {
    async fn come_and_go(self, number: usize) -> Result<(), Failure> {
        let mut visit = number;
        while !self.over.load(Ordering::Relaxed) {
            self.visit(visit).await?;
            self.done.visits.fetch_add(1, Ordering::Relaxed);
            visit += 1;
        }
        Ok(())
    }

    async fn visit(&self, number: usize) -> Result<(), Failure> {
        let session =
            Session::builder(self.auth.clone()).store(MemoryStore::new()).connect().await?;
        session.login(DEMO_USER, DEMO_PASSWORD).await?;
        let api = ApiServiceClient::new(session.layer().layer(connect(&self.api).await?));
        // Held until it goes, as an application does that shows what others change.
        let _changes = api.clone().watch_changes(WatchChangesRequest::default()).await?;
        for _ in 0..BURSTS {
            let (mut trees, mut folders, mut categories) = (api.clone(), api.clone(), api.clone());
            let (trees, folders, categories) = tokio::join!(
                trees.list_trees(ListTreesRequest::default()),
                folders.list_folders(ListFoldersRequest::default()),
                categories.list_categories(ListCategoriesRequest::default()),
            );
            let _answers = (trees?, folders?, categories?);
            self.done.calls.fetch_add(3, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
        // Two of three go without a word.
        if number.is_multiple_of(3) {
            session.logout().await?;
        }
        Ok(())
    }
}

/// Bursts of calls in a visit, and the time between them: an access token runs out on the way.
const BURSTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);
