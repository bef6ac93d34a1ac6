//! `evergreen up`: both services in one process, on the embedded database or a PostgreSQL.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use token::clock::{Clock, SystemClock};
use transport::{database_url::DatabaseUrl, observe::LogObserver, process::StopSignals};

use crate::{
    errors::Error,
    lab::{DEMO_PASSWORD, DEMO_USER, Failure, start_api, start_auth},
    paint,
};

/// Run AuthService and ApiService together until Ctrl-C or SIGTERM.
///
/// Everything is kept in one directory: two SQLite files, unless a PostgreSQL database stands in for
/// them, ApiService's account, and the master keys that the sessions depend on. Registration is open.
#[derive(Args, Clone, Debug)]
pub(crate) struct Up {
    /// Where everything is kept
    #[arg(long, env = "EVERGREEN_DATA_DIR", default_value = "evergreen-data", value_name = "DIR")]
    data_dir: PathBuf,

    /// Keep what both services store in this PostgreSQL database instead of in files:
    /// postgres://user:password@host:5432/database
    #[arg(long, env = "EVERGREEN_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<DatabaseUrl>,

    /// Where AuthService listens; port 0 picks a free one
    #[arg(
        long,
        env = "EVERGREEN_AUTH_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS"
    )]
    auth_listen: SocketAddr,

    /// Where ApiService listens; port 0 picks a free one
    #[arg(
        long,
        env = "EVERGREEN_API_LISTEN",
        default_value = "127.0.0.1:50052",
        value_name = "ADDRESS"
    )]
    api_listen: SocketAddr,

    /// How long an access token lives; at most 1h, which is how long revocations are told
    #[arg(long, env = "EVERGREEN_ACCESS_TOKEN_TTL", default_value = "15m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    access_token_ttl: Duration,

    /// How long a session lives that nobody refreshes
    #[arg(long, env = "EVERGREEN_REFRESH_TOKEN_TTL", default_value = "7d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    refresh_token_ttl: Duration,

    /// How long after a rotation a second keyed attempt is taken for an honest rival
    #[arg(long, env = "EVERGREEN_RIVAL_WINDOW", default_value = "30s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    rival_window: Duration,

    /// How long a client that sends no idempotency key may repeat a refresh; 0s forbids it
    #[arg(long, env = "EVERGREEN_REUSE_GRACE", default_value = "10s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    reuse_grace: Duration,

    /// Make a user to try things with, who has some trees
    #[arg(long)]
    demo: bool,

    /// Allow plaintext on addresses that other machines can reach
    #[arg(long)]
    insecure: bool,
}

impl Up {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        // Asked for first, so that a signal during the start is not lost.
        let stop = StopSignals::listen()?;
        let demo = self.demo;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let observer = Arc::new(LogObserver);
        let (auth, mut api) = self.config();
        let (mut auth, accounts) =
            start_auth(auth, Arc::clone(&clock), observer.clone(), demo).await?;
        api.auth_url = auth.url();
        accounts.configure(&mut api);
        let mut api = start_api(api, clock, observer, accounts.demo_user.as_deref()).await?;
        let announced = announce(auth.address, api.address, demo);
        if announced.is_ok() {
            tokio::select! {
                error = auth.failed() => return Err(error),
                error = api.failed() => return Err(error),
                () = stop.first() => {}
            }
        }
        api.stop().await?;
        auth.stop().await?;
        Ok(announced?)
    }

    fn config(self) -> (auth_service::Config, api_service::Config) {
        let defaults = auth_service::Config::default();
        let auth = auth_service::Config {
            listen: self.auth_listen,
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            access_token_ttl: self.access_token_ttl,
            refresh_token_ttl: self.refresh_token_ttl,
            session_ttl: defaults.session_ttl.max(self.refresh_token_ttl),
            reuse_grace: self.reuse_grace,
            rival_window: self.rival_window,
            // One process has one clock, and a short trial of the window needs requests as short.
            clock_skew: Duration::ZERO,
            request_timeout: defaults
                .request_timeout
                .min(self.rival_window.mul_f64(0.8))
                .max(SHORTEST_REQUEST),
            open_registration: true,
            insecure: self.insecure,
            ..defaults
        };
        let api = api_service::Config {
            listen: self.api_listen,
            data_dir: self.data_dir,
            database_url: self.database_url,
            insecure: self.insecure,
            ..api_service::Config::default()
        };
        (auth, api)
    }
}

/// Says how to reach them. Who cannot be told that is not served.
fn announce(auth: SocketAddr, api: SocketAddr, demo: bool) -> Result<(), Error> {
    paint::line(format!("AuthService is ready on {auth}"))?;
    paint::line(format!("ApiService  is ready on {api}"))?;
    let (user, password) =
        if demo { (DEMO_USER, DEMO_PASSWORD) } else { ("ada", "correct horse battery staple") };
    let (rpc, what) = if demo { ("Login", "log in") } else { ("Register", "register") };
    paint::line(format!(
        "
To try it, {what}, keep the access token, and list the trees:

  TOKEN=$(grpcurl -plaintext -d '{{\"username\":\"{user}\",\"password\":\"{password}\"}}' \\
    {auth} evergreen.auth.v1.AuthService/{rpc} | sed -n 's/.*\"accessToken\": \"\\(.*\\)\".*/\\1/p')
  grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" {api} evergreen.api.v1.ApiService/ListTrees

Ctrl-C stops both."
    ))
}

const SHORTEST_REQUEST: Duration = Duration::from_millis(100);
