//! Thousands of calls at once whose token has run out, against the same calls with a good one.

use std::{sync::Arc, time::Duration};

use client_sdk::{Reauth, Session, TokenPair, store::MemoryStore};
use evergreen_proto::{
    api::v1::{ListTreesRequest, ListTreesResponse, api_service_client::ApiServiceClient},
    auth::v1::{LoginRequest, auth_service_client::AuthServiceClient},
};
use http::HeaderValue;
use indicatif::HumanCount;
use serde_json::{Value, json};
use tempfile::TempDir;
use token::clock::SystemClock;
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tonic::{Code, transport::Channel};
use tower::Layer as _;
use transport::recorder::Recorder;

use super::{connect, echo::Echo};
use crate::{
    errors::Error,
    lab::{DEMO_PASSWORD, DEMO_USER, Failure, start_auth},
    paint,
};

/// Who knows that the token has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The client, which refreshes before it sends.
    ToClient,
    /// The server alone, which refuses.
    ToServer,
}

impl Known {
    const fn what(self) -> &'static str {
        match self {
            Self::ToClient => "its end known to the client",
            Self::ToServer => "its end known to the server alone",
        }
    }

    /// What the time should be at most, as a multiple of the same calls with a good token: one
    /// refresh, and where the server refuses, every call once more.
    const fn target(self) -> f64 {
        match self {
            Self::ToClient => 1.2,
            Self::ToServer => 2.2,
        }
    }
}

/// How much longer the calls take than with a good token, over rounds.
#[derive(Debug)]
pub(super) struct Recovery {
    known: Known,
    min: f64,
    median: f64,
    max: f64,
    /// Of the median round.
    took: Duration,
    /// Of the same round, with a good token.
    baseline: Duration,
}

/// Lets [`CALLS`] calls begin at once, with a good token and with one that has run out, in turn.
///
/// AuthService is a real one; ApiService is an echo, against which what the layer does shows most.
///
/// # Errors
///
/// If a call fails, or if a round makes more or fewer refreshes than one.
pub(super) async fn measure(known: Known, rounds: usize) -> Result<Recovery, Failure> {
    let dir = TempDir::new()?;
    let config = auth_service::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: dir.path().to_owned(),
        ..auth_service::Config::default()
    };
    let (clock, seen) = (Arc::new(SystemClock::new()), Arc::new(Recorder::new()));
    let (auth, _) = start_auth(config, clock, seen.clone(), true).await?;
    let (run_out, refused) = watch::channel(None);
    let echo = Echo::<ListTreesRequest, _>::refusing(ListTreesResponse::default(), refused).await?;
    let session = Session::builder(auth.url())
        .proactive(known == Known::ToClient)
        .store(MemoryStore::new())
        .connect()
        .await?;
    let api = ApiServiceClient::new(session.layer().layer(connect(&echo.url()).await?));
    let mut login = AuthServiceClient::new(connect(&auth.url()).await?);

    let mut measured = Vec::with_capacity(rounds);
    // The first round warms up, and is not counted.
    for round in 0..=rounds.max(1) {
        let request = LoginRequest {
            username: DEMO_USER.into(),
            password: DEMO_PASSWORD.into(),
            ..LoginRequest::default()
        };
        let pair = login.login(request).await?.into_inner().tokens;
        let pair = pair.ok_or("Login answered without tokens")?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", pair.access_token))?;
        let pair = TokenPair::from(pair);
        session.set_tokens(pair.clone()).await?;
        let baseline = stampede(&api).await?;
        match known {
            Known::ToClient => session.set_tokens(pair.access_expires_in(Duration::ZERO)).await?,
            Known::ToServer => drop(run_out.send_replace(Some(bearer))),
        }
        seen.take();
        let took = stampede(&api).await?;
        let refreshes = seen.count("Refresh", Code::Ok);
        if refreshes != 1 {
            return Err(format!("{CALLS} calls at once made {refreshes} refreshes").into());
        }
        if round > 0 {
            measured.push((took.as_secs_f64() / baseline.as_secs_f64(), took, baseline));
        }
    }
    drop((api, login, session));
    auth.stop().await?;
    measured.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median, took, baseline) = measured[measured.len() / 2];
    let (min, max) = (measured[0].0, measured[measured.len() - 1].0);
    Ok(Recovery { known, min, median, max, took, baseline })
}

/// How long [`CALLS`] calls take that begin at once.
async fn stampede(api: &ApiServiceClient<Reauth<Channel>>) -> Result<Duration, Failure> {
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let mut api = api.clone();
        calls.spawn(async move { api.list_trees(ListTreesRequest::default()).await.map(drop) });
    }
    for answer in calls.join_all().await {
        answer?;
    }
    Ok(start.elapsed())
}

impl Recovery {
    pub(super) fn print_head() -> Result<(), Error> {
        let calls = HumanCount(CALLS.into());
        let title =
            format!("{calls} calls at once, their token run out, and the same with a good one");
        paint::line(format_args!("\n{}", paint::styled(paint::HEADING, title)))?;
        let header = format!(
            "{:<35} {:>9} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9}",
            "", "refreshes", "target", "min", "median", "max", "ms", "baseline"
        );
        paint::line(paint::styled(paint::HEADING, header))
    }

    pub(super) fn print(&self) -> Result<(), Error> {
        paint::line(format_args!(
            "{:<35} {:>9} {:>9} {:>7.3} {:>7.3} {:>7.3} {:>9.1} {:>9.1}",
            self.known.what(),
            1,
            format!("<= {}", self.known.target()),
            self.min,
            self.median,
            self.max,
            millis(self.took),
            millis(self.baseline),
        ))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "what": format!("calls at once, their token run out, {}", self.known.what()),
            "against": "the same calls with a good token",
            "calls": CALLS, "refreshes": 1,
            "time_ratio_min": self.min, "time_ratio_median": self.median,
            "time_ratio_max": self.max, "time_ratio_target": self.known.target(),
            "milliseconds": millis(self.took), "baseline_milliseconds": millis(self.baseline),
        })
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

const CALLS: u32 = 10_000;
