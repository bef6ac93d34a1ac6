//! What the programs take while nobody asks anything of them.

use clap::Args;
use evergreen_proto::{
    api::v1::{ListCategoriesRequest, api_service_client::ApiServiceClient},
    auth::v1::{GetJwksRequest, auth_service_client::AuthServiceClient},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tonic::transport::Channel;

use super::{
    load::Latencies,
    programs::{CHEAP_HASHES, Programs, Serving},
};
use crate::{
    bench::{Bearer, bearing, connect},
    errors::Error,
    lab::Failure,
    output::Table,
    paint,
};

/// Show how fast each program starts, and the memory that it takes with no connection and with many
/// idle ones
///
/// Every connection makes one call, and then is silent.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Idle {
    /// Idle connections
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    connections: usize,
    /// Starts on a database that is there
    #[arg(long, default_value_t = 11, value_name = "N")]
    starts: usize,
}

/// What one of them takes.
#[derive(Debug)]
struct Footprint {
    program: &'static str,
    starts: Latencies,
    alone: Option<u64>,
    connected: Option<u64>,
    files: Option<u64>,
    left: Option<u64>,
}

impl Idle {
    pub(super) async fn run(self, programs: Programs, json: bool) -> Result<(), Failure> {
        programs.make_user(&CHEAP_HASHES).await?;
        // ApiService has connections to AuthService too.
        let most = (self.connections + 100).to_string();
        let connections = ["--max-connections", &most];
        let settings = [&CHEAP_HASHES[..], &connections].concat();
        let account = programs.account().await?;
        let (mut auth_starts, mut api_starts) = (Vec::new(), Vec::new());
        // The first start makes the databases, and is not counted.
        for start in 0..=self.starts {
            let auth = programs.auth(&settings).await?;
            let api = programs.api(&auth, &account, &connections).await?;
            if start > 0 {
                auth_starts.push(auth.started_in);
                api_starts.push(api.started_in);
            }
            api.stop().await?;
            auth.stop().await?;
        }

        let auth = programs.auth(&settings).await?;
        let api = programs.api(&auth, &account, &connections).await?;
        let bearer = format!("Bearer {}", auth.login().await?.access_token);
        let bearer = Bearer::try_from(bearer)?;
        let keys = async |channel: Channel| {
            let mut client = AuthServiceClient::new(channel);
            client.get_jwks(GetJwksRequest {}).await.map(drop)
        };
        let categories = async |channel: Channel| {
            let request = bearing(ListCategoriesRequest::default(), &bearer);
            ApiServiceClient::new(channel).list_categories(request).await.map(drop)
        };
        let of_auth = self.footprint("auth-service", &auth, auth_starts, keys).await?;
        let of_api = self.footprint("api-service", &api, api_starts, categories).await?;
        api.stop().await?;
        auth.stop().await?;
        Ok(self.show(&[of_auth, of_api], json)?)
    }

    async fn footprint(
        self,
        program: &'static str,
        serving: &Serving,
        starts: Vec<std::time::Duration>,
        call: impl AsyncFn(Channel) -> Result<(), tonic::Status>,
    ) -> Result<Footprint, Failure> {
        call(connect(&serving.url).await?).await?;
        let alone = serving.process.resident();
        let bar = paint::progress(self.connections as u64, "connections");
        let call = &call;
        let connected: Vec<Channel> = stream::iter(0..self.connections)
            .map(async |_| {
                let channel = connect(&serving.url).await?;
                call(channel.clone()).await?;
                bar.inc(1);
                Ok::<_, Failure>(channel)
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        bar.finish_and_clear();
        let (memory, files) = (serving.process.resident(), serving.process.open_files());
        drop(connected);
        // It answers one that came later once the others are gone, or as good as gone.
        call(connect(&serving.url).await?).await?;
        let left = serving.process.resident();
        let starts = Latencies::of(starts);
        Ok(Footprint { program, starts, alone, connected: memory, files, left })
    }

    fn show(self, footprints: &[Footprint], json: bool) -> Result<(), Error> {
        if json {
            let rows = footprints.iter().map(|of| {
                json!({
                    "program": of.program, "connections": self.connections,
                    "start_milliseconds_median": millis(of.starts.median()),
                    "start_milliseconds_max": millis(of.starts.max()),
                    "resident_bytes": of.alone, "resident_bytes_connected": of.connected,
                    "open_files_connected": of.files, "resident_bytes_left": of.left,
                })
            });
            return paint::line(serde_json::Value::from_iter(rows));
        }
        let mut table = Table::new(&[
            "=",
            "=ready in",
            "=at most",
            "=memory",
            "=connected",
            "=files",
            "=afterwards",
        ]);
        for of in footprints {
            table.row([
                of.program,
                &format!("{:.0} ms", millis(of.starts.median())),
                &format!("{:.0} ms", millis(of.starts.max())),
                &mebibytes(of.alone),
                &mebibytes(of.connected),
                &of.files.map_or_else(|| "unknown".to_owned(), |files| files.to_string()),
                &mebibytes(of.left),
            ]);
        }
        paint::line(table.render(None))?;
        let (connections, starts) = (self.connections, self.starts);
        paint::line(format_args!(
            "Connected: with {connections} idle connections, each of which has made a call.\n\
             Ready in: the median of {starts} starts on a database that was there."
        ))
    }
}

pub(super) fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(super) fn mebibytes(bytes: Option<u64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    bytes.map_or_else(
        || "unknown".to_owned(),
        |b| format!("{:.1} MiB", b as f64 / f64::from(1 << 20)),
    )
}

pub(super) fn percent(part: Option<f64>) -> String {
    part.map_or_else(|| "unknown".to_owned(), |part| format!("{:.0} %", 100.0 * part))
}

const AT_ONCE: usize = 64;
