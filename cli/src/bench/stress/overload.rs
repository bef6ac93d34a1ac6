//! More calls than can be answered.

use std::{sync::Arc, time::Duration};

use clap::Args;
use evergreen_proto::api::v1::{
    CreateFolderRequest, Folder, GetFolderSubtreeRequest, api_service_client::ApiServiceClient,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tonic::transport::Channel;

use super::{
    idle::{millis, percent},
    load::{Answers, Call, closed, median, open},
    programs::{CHEAP_HASHES, Programs},
};
use crate::{
    bench::{Bearer, bearing, connect, system::Ticks},
    errors::Error,
    lab::Failure,
    output::Table,
    paint,
};

/// Ask ApiService for more than it can answer, and compare with the most that it can
///
/// The most is that of a few callers who ask again when they are answered, however many do best. Then
/// callers come at a multiple of that pace, whatever becomes of those before. Where there are two
/// processors or more, the services have one, and the callers the others, so that it is not the callers
/// who take the services' time.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Overload {
    /// Folders in an answer, which decides how long it takes. Refusing and asking take time too, and
    /// should be little beside it
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    folders: u32,
    /// How many times as many calls as can be answered
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    times: f64,
    /// Connections that the calls come over
    #[arg(long, default_value_t = 64, value_name = "N")]
    connections: usize,
    /// How long each round takes
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    round: Duration,
    /// How long an overload has gone on before it is measured
    #[arg(long, default_value = "15s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    lead: Duration,
    /// Rounds
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
}

/// The most that can be answered, and what was answered when more was asked for.
#[derive(Debug)]
struct Round {
    callers: usize,
    most: Answers,
    overloaded: Answers,
    /// The part of the processors' time that others had.
    stolen: Option<f64>,
}

impl Round {
    fn goodput(&self) -> f64 {
        self.overloaded.rate() / self.most.rate()
    }

    fn slower(&self) -> f64 {
        self.overloaded.answered.p99().as_secs_f64() / self.most.answered.p99().as_secs_f64()
    }
}

impl Overload {
    pub(super) async fn run(self, programs: Programs, json: bool) -> Result<(), Failure> {
        let programs = programs.apart_from_callers().await?;
        programs.make_user(&CHEAP_HASHES).await?;
        let account = programs.account().await?;
        let auth = programs.auth(&CHEAP_HASHES).await?;
        let api = programs.api(&auth, &account, &[]).await?;
        let bearer = format!("Bearer {}", auth.login().await?.access_token);
        let bearer = Bearer::try_from(bearer)?;
        let mut clients = Vec::new();
        for _ in 0..self.connections.max(1) {
            clients.push(ApiServiceClient::new(connect(&api.url).await?));
        }
        fill(&clients, &bearer, self.folders).await?;
        let call = Arc::new(move |caller: usize| {
            let mut client = clients[caller % clients.len()].clone();
            let request = bearing(GetFolderSubtreeRequest::default(), &bearer);
            async move { client.get_folder_subtree(request).await.map(drop) }
        });

        let mut rounds = Vec::new();
        // The first round warms up, and is not counted.
        for round in 0..=self.rounds.max(1) {
            let measured = self.round(&call).await?;
            if round > 0 {
                rounds.push(measured);
            }
        }
        drop(call);
        api.stop().await?;
        auth.stop().await?;
        Ok(self.show(&rounds, json)?)
    }

    async fn round<C: Call>(self, call: &Arc<C>) -> Result<Round, Failure> {
        let ticks = Ticks::now();
        let mut best: Option<(usize, f64)> = None;
        for callers in CALLERS {
            let rate = closed(callers, self.round / 4, call).await?.rate();
            // More callers who get no more answers only wait for each other.
            if best.is_none_or(|(_, best)| rate > 1.03 * best) {
                best = Some((callers, rate));
            }
        }
        let (callers, _) = best.ok_or("nobody called")?;
        // Once more: what was found to be the most was lucky, too.
        let most = closed(callers, self.round, call).await?;
        let rate = self.times * most.rate();
        let overloaded = open(rate, self.lead, self.round, call).await?;
        Ok(Round { callers, most, overloaded, stolen: Ticks::stolen_since(ticks) })
    }

    fn show(self, rounds: &[Round], json: bool) -> Result<(), Error> {
        if json {
            let rows = rounds.iter().map(|round| {
                json!({
                    "callers": round.callers, "times": self.times,
                    "most_per_second": round.most.rate(),
                    "answered_per_second": round.overloaded.rate(),
                    "refused_per_second": round.overloaded.refusals(),
                    "goodput_ratio": round.goodput(),
                    "most_p99_milliseconds": millis(round.most.answered.p99()),
                    "answered_p99_milliseconds": millis(round.overloaded.answered.p99()),
                    "refused_p99_milliseconds": millis(round.overloaded.refused.p99()),
                    "p99_ratio": round.slower(), "stolen_ratio": round.stolen,
                })
            });
            return paint::line(serde_json::Value::from_iter(rows));
        }
        let mut table = Table::new(&[
            "=at most",
            "=callers",
            "=p99",
            "=answered",
            "=of the most",
            "=p99",
            "=times",
            "=refused",
            "=p99",
            "=stolen",
        ]);
        let rate = |rate: f64| format!("{rate:.0}/s");
        let ms = |took: Duration| format!("{:.1} ms", millis(took));
        for round in rounds {
            table.row([
                &rate(round.most.rate()),
                &round.callers.to_string(),
                &ms(round.most.answered.p99()),
                &rate(round.overloaded.rate()),
                &format!("{:.2}", round.goodput()),
                &ms(round.overloaded.answered.p99()),
                &format!("{:.2}", round.slower()),
                &rate(round.overloaded.refusals()),
                &ms(round.overloaded.refused.p99()),
                &percent(round.stolen),
            ]);
        }
        paint::line(table.render(None))?;
        paint::line(format_args!(
            "Answers of {} folders. At most: by so many callers who wait for their answers. Answered and \
             refused: with {} times as many calls. In the median of the rounds {:.2} of the most, and \
             {:.2} times as long.",
            self.folders,
            self.times,
            median(rounds, Round::goodput),
            median(rounds, Round::slower)
        ))
    }
}

async fn fill(
    clients: &[ApiServiceClient<Channel>],
    bearer: &Bearer,
    folders: u32,
) -> Result<(), Failure> {
    let bar = paint::progress(folders.into(), "folders");
    let made = stream::iter((0..folders).zip(clients.iter().cycle()))
        .map(async |(n, client)| {
            let folder = Folder { name: format!("Folder {n}"), ..Folder::default() };
            let request = bearing(CreateFolderRequest { folder: Some(folder) }, bearer);
            client.clone().create_folder(request).await?;
            bar.inc(1);
            Ok::<_, Failure>(())
        })
        .buffer_unordered(AT_ONCE);
    made.try_collect::<()>().await?;
    bar.finish_and_clear();
    Ok(())
}

const AT_ONCE: usize = 16;
const CALLERS: [usize; 5] = [1, 2, 4, 8, 16];
