//! Refreshes while everybody logs in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use evergreen_proto::auth::v1::{LoginRequest, TokenPair, auth_service_client::AuthServiceClient};
use serde_json::json;
use tokio::{
    sync::{Mutex, Notify},
    task::JoinSet,
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::{
    idle::{mebibytes, millis, percent},
    load::{Answers, Call, median, open},
    programs::{Programs, Serving},
};
use crate::{
    bench::{attempt, connect, system::Ticks},
    errors::Error,
    lab::{DEMO_PASSWORD, Failure},
    output::Table,
    paint,
};

/// Log in as fast as can be while sessions are refreshed, and show what the refreshes notice of it
///
/// Passwords are hashed with the parameters of production. Each login is under a name of its own, so
/// that none waits for another. On a virtual machine, what others had of the processors is told too: a
/// round in which they were stolen says little.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Logins {
    /// Callers who log in, each again as soon as it is answered
    #[arg(long, default_value_t = 200, value_name = "N")]
    callers: usize,
    /// Refreshes a second
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    refreshes: f64,
    /// How long each half of a round takes
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    round: Duration,
    /// Rounds
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
}

/// Refreshes without logins, and with them.
#[derive(Debug)]
struct Round {
    idle: Answers,
    storm: Answers,
    /// Logins that were judged, and those that were told to come back.
    judged: u64,
    refused: u64,
    /// Memory of the service during the storm.
    memory: Option<u64>,
    /// The part of the processors' time that others had.
    stolen: Option<f64>,
}

impl Round {
    fn slower(&self) -> f64 {
        self.storm.answered.p99().as_secs_f64() / self.idle.answered.p99().as_secs_f64()
    }
}

impl Logins {
    pub(super) async fn run(self, programs: Programs, json: bool) -> Result<(), Failure> {
        programs.make_user(&[]).await?;
        let auth = programs.auth(&[]).await?;
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let client = AuthServiceClient::new(connect(&auth.url).await?);
            sessions.push(Mutex::new((client, auth.login().await?)));
        }
        let call = Arc::new(refresh(sessions));
        let mut rounds = Vec::new();
        // The first round warms up, and is not counted.
        for round in 0..=self.rounds.max(1) {
            let ticks = Ticks::now();
            let idle = open(self.refreshes, LEAD, self.round, &call).await?;
            let storm = Storm::begin(&auth, self.callers).await?;
            let during = open(self.refreshes, LEAD, self.round, &call).await?;
            let memory = auth.process.resident();
            let [judged, refused] = storm.end().await?;
            let stolen = Ticks::stolen_since(ticks);
            if round > 0 {
                rounds.push(Round { idle, storm: during, judged, refused, memory, stolen });
            }
        }
        drop(call);
        auth.stop().await?;
        Ok(self.show(&rounds, json)?)
    }
}

impl Logins {
    fn show(self, rounds: &[Round], json: bool) -> Result<(), Error> {
        if json {
            let rows = rounds.iter().map(|round| {
                json!({
                    "callers": self.callers, "refreshes_per_second": self.refreshes,
                    "idle_p99_milliseconds": millis(round.idle.answered.p99()),
                    "idle_median_milliseconds": millis(round.idle.answered.median()),
                    "storm_p99_milliseconds": millis(round.storm.answered.p99()),
                    "storm_median_milliseconds": millis(round.storm.answered.median()),
                    "p99_ratio": round.slower(), "refreshed_per_second": round.storm.rate(),
                    "logins_judged": round.judged, "logins_refused": round.refused,
                    "resident_bytes": round.memory, "stolen_ratio": round.stolen,
                })
            });
            return paint::line(serde_json::Value::from_iter(rows));
        }
        let mut table = Table::new(&[
            "=idle median",
            "=p99",
            "=storm median",
            "=p99",
            "=times",
            "=refreshed",
            "=logins",
            "=refused",
            "=memory",
            "=stolen",
        ]);
        let ms = |took: Duration| format!("{:.2} ms", millis(took));
        let length = (LEAD + self.round).as_secs_f64();
        for round in rounds {
            table.row([
                &ms(round.idle.answered.median()),
                &ms(round.idle.answered.p99()),
                &ms(round.storm.answered.median()),
                &ms(round.storm.answered.p99()),
                &format!("{:.2}", round.slower()),
                &format!("{:.0}/s", round.storm.rate()),
                &format!("{:.0}/s", round.judged as f64 / length),
                &format!("{:.0}/s", round.refused as f64 / length),
                &mebibytes(round.memory),
                &percent(round.stolen),
            ]);
        }
        paint::line(table.render(None))?;
        paint::line(format_args!(
            "{} refreshes a second of {SESSIONS} sessions, and {} callers who log in; who is told to \
             come back does so when told. In the median of the rounds {:.2} times.",
            self.refreshes,
            self.callers,
            median(rounds, Round::slower)
        ))
    }
}

/// Callers who log in until they are told to stop.
struct Storm {
    over: Arc<AtomicBool>,
    callers: JoinSet<Result<[u64; 2], Status>>,
}

impl Storm {
    /// Begins one, and returns once a login was judged.
    async fn begin(auth: &Serving, callers: usize) -> Result<Self, Failure> {
        let over = Arc::new(AtomicBool::new(false));
        let begun = Arc::new(Notify::new());
        let mut storm = Self { over, callers: JoinSet::new() };
        for _ in 0..callers {
            let client = AuthServiceClient::new(connect(&auth.url).await?);
            storm.callers.spawn(log_in(client, Arc::clone(&storm.over), Arc::clone(&begun)));
        }
        begun.notified().await;
        Ok(storm)
    }

    /// Ends it: how many logins were judged, and how many were told to come back.
    async fn end(self) -> Result<[u64; 2], Failure> {
        self.over.store(true, Ordering::Relaxed);
        let mut sum = [0, 0];
        for counts in self.callers.join_all().await {
            let [judged, refused] = counts?;
            sum = [sum[0] + judged, sum[1] + refused];
        }
        Ok(sum)
    }
}

async fn log_in(
    mut client: AuthServiceClient<Channel>,
    over: Arc<AtomicBool>,
    begun: Arc<Notify>,
) -> Result<[u64; 2], Status> {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let (mut judged, mut refused) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        let request = LoginRequest {
            username: format!("caller-{name}"),
            password: DEMO_PASSWORD.into(),
            ..LoginRequest::default()
        };
        match client.login(request).await {
            // A name that nobody has takes as long as one that somebody has.
            Err(status) if status.code() == Code::Unauthenticated => {
                judged += 1;
                begun.notify_one();
            }
            Err(status) if status.code() == Code::ResourceExhausted => {
                refused += 1;
                let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
                tokio::time::sleep(retry.unwrap_or_default()).await;
            }
            Err(status) => return Err(status),
            Ok(_) => return Err(Status::internal("a stranger was let in")),
        }
    }
    Ok([judged, refused])
}

type Sessions = Vec<Mutex<(AuthServiceClient<Channel>, TokenPair)>>;

/// Refreshes one of the sessions, each in its turn.
fn refresh(sessions: Sessions) -> impl Call {
    let sessions = Arc::new(sessions);
    move |caller: usize| {
        let sessions = Arc::clone(&sessions);
        async move {
            let mut session = sessions[caller % sessions.len()].lock().await;
            let request = attempt(&session.1)?;
            let answer = session.0.refresh(request).await?.into_inner();
            session.1 = answer.tokens.unwrap_or_default();
            Ok(())
        }
    }
}

/// A storm blows by then.
const LEAD: Duration = Duration::from_millis(500);
/// Enough that none is refreshed again before it was answered.
const SESSIONS: usize = 64;
