//! `evergreen bench`: how fast it is, as ratios against a baseline of the same run.

mod echo;
mod guard;
mod herd;
mod load;
mod scale;
mod soak;
mod stress;
mod system;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use clap::Args;
use client_sdk::{Reauth, Session, store::MemoryStore};
use evergreen_proto::{
    api::v1::{ListTreesRequest, ListTreesResponse, api_service_client::ApiServiceClient},
    auth::v1::{
        LoginRequest, RefreshRequest, RefreshResponse, TokenPair,
        auth_service_client::AuthServiceClient,
    },
};
use serde_json::json;
use tempfile::TempDir;
use token::{
    clock::SystemClock,
    entropy::{Entropy, SystemEntropy},
};
use tokio::sync::Mutex;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tower::Layer as _;
use transport::{
    database_url::DatabaseUrl,
    observe::{Ended, Observer},
};

use self::{
    echo::Echo,
    guard::Tokens,
    herd::{Known, Recovery},
    load::{Call, Comparison, compare},
};
pub(crate) use self::{scale::Scale, soak::Soak, stress::Stress};
use crate::{
    lab::{DEMO_PASSWORD, DEMO_USER, Failure, start_auth},
    paint,
};

/// Measure the SDK's layer, the guard and the refresh against bare baselines, in turn in one run.
///
/// Machines differ and drift; the ratios hold where absolute figures do not.
#[derive(Args, Clone, Debug)]
pub(crate) struct Bench {
    /// Calls in flight
    #[arg(long, default_value_t = 64, value_name = "N")]
    in_flight: usize,
    /// Connections that the refreshing sessions share [default: each has its own, as clients do]
    #[arg(long, value_name = "N")]
    connections: Option<NonZeroUsize>,
    /// Rounds of each measurement
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
    /// How long a round takes
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    round: Duration,
    /// Measure refreshes on this PostgreSQL database, which should be empty, instead of a file
    #[arg(long, env = "EVERGREEN_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Nobody listens: observing is not what is measured.
#[derive(Debug)]
struct Unobserved;

impl Observer for Unobserved {
    fn ended(&self, _: &Ended<'_>) {}
}

impl Bench {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let layer = self.layer().await?;
        let refresh = self.refresh().await?;
        let guarded = |tokens| guard::measure(tokens, self.in_flight, self.rounds, self.round);
        let known = guarded(Tokens::Known).await?;
        let new = guarded(Tokens::New).await?;
        let unread = guarded(Tokens::Unread).await?;
        let figures = [
            ("calls through the layer", "calls without it", layer),
            ("guarded calls", "calls without a guard", known),
            ("the same, every token new", "calls without a guard", new),
            ("one bare signature a call", "calls without a guard", unread),
            ("durable refreshes", "a bare echo of the same size", refresh),
        ];
        let mut recoveries = Vec::new();
        for known in [Known::ToClient, Known::ToServer] {
            recoveries.push(herd::measure(known, self.rounds).await?);
        }
        if self.json {
            let rows: Vec<_> = figures
                .iter()
                .map(|(what, against, Comparison { rate, processor })| {
                    json!({
                        "what": what, "against": against, "in_flight": self.in_flight,
                        "ratio_min": rate.min, "ratio_median": rate.median,
                        "ratio_max": rate.max,
                        "per_second": rate.subject, "baseline_per_second": rate.baseline,
                        "processor_ratio_min": processor.min,
                        "processor_ratio_median": processor.median,
                        "processor_ratio_max": processor.max,
                    })
                })
                .chain(recoveries.iter().map(Recovery::to_json))
                .collect();
            paint::line(json!(rows))?;
            return Ok(());
        }
        let header = format!(
            "{:<26} {:<30} {:>7} {:>7} {:>7} {:>11} {:>11} {:>13}",
            "", "against", "min", "median", "max", "per second", "baseline", "by processor"
        );
        paint::line(paint::styled(paint::HEADING, header))?;
        for (what, against, Comparison { rate, processor }) in figures {
            paint::line(format_args!(
                "{what:<26} {against:<30} {:>7.3} {:>7.3} {:>7.3} {:>11.0} {:>11.0} {:>13.3}",
                rate.min, rate.median, rate.max, rate.subject, rate.baseline, processor.median
            ))?;
        }
        paint::line(
            "By processor: of the calls that a second of processor time made, the median.",
        )?;
        Recovery::print_head()?;
        recoveries.iter().try_for_each(Recovery::print)?;
        Ok(())
    }

    /// Calls per second with the layer, against the same channel without it.
    async fn layer(&self) -> Result<Comparison, Failure> {
        let echo = Echo::<ListTreesRequest, _>::start(ListTreesResponse::default()).await?;
        let channel = connect(&echo.url()).await?;
        let session = Session::builder(echo.url()).store(MemoryStore::new()).connect().await?;
        session.set_tokens(pair_of_usual_size()).await?;
        let bare = ApiServiceClient::new(channel.clone());
        let layered = ApiServiceClient::new(session.layer().layer(channel));
        let subject = |_| Layered(layered.clone());
        let baseline = |_| Bare(bare.clone());
        compare(self.in_flight, self.rounds, self.round, subject, baseline).await
    }

    /// Durable refreshes per second, each session on its own, against an echo of the same messages.
    async fn refresh(&self) -> Result<Comparison, Failure> {
        let dir = TempDir::new()?;
        let config = auth_service::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: dir.path().to_owned(),
            database_url: self.database_url.clone(),
            ..auth_service::Config::default()
        };
        let clock = Arc::new(SystemClock::new());
        let (auth, _) = start_auth(config, clock, Arc::new(Unobserved), true).await?;
        let stubs = self.stubs(&auth.url()).await?;
        let mut tokens = Vec::with_capacity(self.in_flight);
        for _ in 0..self.in_flight {
            let request = LoginRequest {
                username: DEMO_USER.into(),
                password: DEMO_PASSWORD.into(),
                ..LoginRequest::default()
            };
            let answer = stubs[0].clone().login(request).await?.into_inner();
            let pair = answer.tokens.ok_or("Login answered without tokens")?;
            tokens.push(Arc::new(Mutex::new(pair)));
        }
        let canned = RefreshResponse { tokens: Some(tokens[0].lock().await.clone()) };
        let echo = Echo::<RefreshRequest, _>::start(canned).await?;
        let echo_stubs = self.stubs(&echo.url()).await?;
        let subject = |caller: usize| Refreshing {
            stub: stubs[caller % stubs.len()].clone(),
            pair: Arc::clone(&tokens[caller]),
            keep: true,
        };
        let baseline = |caller: usize| Refreshing {
            stub: echo_stubs[caller % echo_stubs.len()].clone(),
            pair: Arc::clone(&tokens[caller]),
            keep: false,
        };
        let ratio = compare(self.in_flight, self.rounds, self.round, subject, baseline).await?;
        drop((stubs, echo_stubs));
        auth.stop().await?;
        Ok(ratio)
    }
}

impl Bench {
    /// A stub on each of the connections.
    async fn stubs(&self, url: &str) -> Result<Vec<AuthServiceClient<Channel>>, Failure> {
        let connections = self.connections.map_or(self.in_flight.max(1), NonZeroUsize::get);
        let mut stubs = Vec::with_capacity(connections);
        for _ in 0..connections {
            stubs.push(AuthServiceClient::new(connect(url).await?));
        }
        Ok(stubs)
    }
}

/// A call through the layer.
struct Layered(ApiServiceClient<Reauth<Channel>>);

impl Call for Layered {
    async fn call(&mut self) -> Result<(), Status> {
        self.0.list_trees(ListTreesRequest::default()).await.map(drop)
    }
}

/// The same bytes on the wire, without the layer.
struct Bare(ApiServiceClient<Channel>);

impl Call for Bare {
    async fn call(&mut self) -> Result<(), Status> {
        let bearer = Bearer::from_static(BEARER);
        self.0.list_trees(bearing(ListTreesRequest::default(), &bearer)).await.map(drop)
    }
}

/// A session that refreshes; an echo's answers are not kept.
struct Refreshing {
    stub: AuthServiceClient<Channel>,
    pair: Arc<Mutex<TokenPair>>,
    keep: bool,
}

impl Call for Refreshing {
    async fn call(&mut self) -> Result<(), Status> {
        let mut pair = self.pair.lock().await;
        let answer = self.stub.refresh(attempt(&pair)?).await?.into_inner();
        if self.keep {
            *pair = answer.tokens.unwrap_or_default();
        }
        Ok(())
    }
}

/// What stands behind `authorization`.
type Bearer = MetadataValue<Ascii>;

/// A request that carries it.
fn bearing<T>(message: T, bearer: &Bearer) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

/// A refresh as the SDK sends it.
fn attempt(pair: &TokenPair) -> Result<Request<RefreshRequest>, Status> {
    let entropy: &dyn Entropy = &SystemEntropy;
    let key = format!("{:032x}", u128::from_le_bytes(entropy.array()));
    let bad = |_| Status::internal("a token that cannot stand in metadata");
    let mut request = Request::new(RefreshRequest {});
    let metadata = request.metadata_mut();
    metadata
        .insert("authorization", format!("Bearer {}", pair.refresh_token).parse().map_err(bad)?);
    metadata.insert("idempotency-key", key.parse().map_err(bad)?);
    Ok(request)
}

fn pair_of_usual_size() -> client_sdk::TokenPair {
    let access = BEARER.trim_start_matches("Bearer ");
    client_sdk::TokenPair::new(access).refresh_token("r").session_id("bench")
}

async fn connect(url: &str) -> Result<Channel, Failure> {
    Ok(Endpoint::from_shared(url.to_owned())?.connect().await?)
}

/// As long as an access token is, about 600 bytes.
const BEARER: &str = include_str!("bearer.txt");
