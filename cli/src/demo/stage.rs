//! Real servers on free ports and a directory of their own.

use std::{sync::Arc, time::Duration};

use client_sdk::{Reauth, Session, store::MemoryStore};
use evergreen_proto::{
    api::v1::{
        ListCategoriesRequest, ListFoldersRequest, ListTreesRequest,
        api_service_client::ApiServiceClient,
    },
    auth::v1::{LoginRequest, TokenPair, auth_service_client::AuthServiceClient},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tempfile::TempDir;
use token::clock::Clock;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tower::Layer as _;
use transport::recorder::{Recorder, Seen};

use super::claims::Tally;
use crate::lab::{DEMO_PASSWORD, DEMO_USER, Failure, Running, start_api, start_auth};

/// Both servers, and what they saw.
pub(super) struct Stage {
    pub(super) auth: Running,
    pub(super) api: Running,
    pub(super) auth_seen: Arc<Recorder>,
    pub(super) api_seen: Arc<Recorder>,
    quiet: bool,
    pub(super) dir: TempDir,
}

/// An ApiService stub that speaks as a session.
pub(super) type Api = ApiServiceClient<Reauth<Channel>>;

impl Stage {
    /// Both servers on this clock, with access tokens that live for so long by it.
    pub(super) async fn set(
        clock: Arc<dyn Clock>,
        access_token_ttl: Duration,
        quiet: bool,
    ) -> Result<Self, Failure> {
        let dir = TempDir::new()?;
        let free_port = ([127, 0, 0, 1], 0).into();

        let config = auth_service::Config {
            listen: free_port,
            data_dir: dir.path().to_owned(),
            access_token_ttl,
            ..auth_service::Config::default()
        };
        let auth_seen = Arc::new(Recorder::new());
        let (auth, accounts) =
            start_auth(config, Arc::clone(&clock), auth_seen.clone(), true).await?;

        let config = api_service::Config {
            listen: free_port,
            data_dir: dir.path().to_owned(),
            auth_url: auth.url(),
            ..api_service::Config::default()
        };
        let api_seen = Arc::new(Recorder::new());
        let api = start_api(config, clock, api_seen.clone(), accounts.demo_user.as_deref()).await?;
        Ok(Self { auth, api, auth_seen, api_seen, quiet, dir })
    }

    pub(super) async fn strike(self) -> Result<(), Failure> {
        self.api.stop().await?;
        self.auth.stop().await
    }

    /// A client that is logged in, at `auth_url`.
    pub(super) async fn client(
        &self,
        auth_url: String,
        proactive: bool,
    ) -> Result<Session, Failure> {
        let session = Session::builder(auth_url)
            .proactive(proactive)
            .store(MemoryStore::new())
            .connect()
            .await?;
        session.login(DEMO_USER, DEMO_PASSWORD).await?;
        Ok(session)
    }

    /// A bare AuthService stub.
    pub(super) fn auth_stub(&self) -> Result<AuthServiceClient<Channel>, Failure> {
        Ok(AuthServiceClient::new(Endpoint::from_shared(self.auth.url())?.connect_lazy()))
    }

    /// A pair of tokens, obtained without the SDK.
    pub(super) async fn log_in(&self) -> Result<TokenPair, Failure> {
        let request = LoginRequest {
            username: DEMO_USER.into(),
            password: DEMO_PASSWORD.into(),
            device_name: "a second device".into(),
        };
        let answer = self.auth_stub()?.login(request).await?.into_inner();
        answer.tokens.ok_or_else(|| "Login answered without tokens".into())
    }

    /// An ApiService stub that speaks as `session`.
    pub(super) async fn api_as(&self, session: &Session) -> Result<Api, Failure> {
        api_at(self.api.url(), session).await
    }

    /// Lets every access token run out.
    pub(super) async fn idle(&self) {
        let target =
            if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let steps = IDLE.as_millis() / TICK.as_millis();
        let bar = ProgressBar::with_draw_target(u64::try_from(steps).ok(), target);
        let style = ProgressStyle::with_template("  idle {bar:30} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        for _ in 0..steps {
            tokio::time::sleep(TICK).await;
            bar.inc(1);
        }
        bar.finish_and_clear();
    }

    /// Forgets what the servers have seen so far.
    pub(super) fn curtain(&self) {
        let _ = self.seen();
    }

    /// What AuthService and ApiService have seen since the last time.
    pub(super) fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        (self.auth_seen.take(), self.api_seen.take())
    }
}

/// A stub of the ApiService at `url` that speaks as `session`.
pub(super) async fn api_at(url: String, session: &Session) -> Result<Api, Failure> {
    let channel = Endpoint::from_shared(url)?.connect().await?;
    Ok(ApiServiceClient::new(session.layer().layer(channel)))
}

/// What the page load of a user asks for, all at once.
pub(super) async fn page_load(api: &Api) -> [Result<usize, Status>; 3] {
    let (mut trees, mut folders, mut categories) = (api.clone(), api.clone(), api.clone());
    let (trees, folders, categories) = tokio::join!(
        trees.list_trees(ListTreesRequest::default()),
        folders.list_folders(ListFoldersRequest::default()),
        categories.list_categories(ListCategoriesRequest::default()),
    );
    [
        trees.map(|answer| answer.into_inner().trees.len()),
        folders.map(|answer| answer.into_inner().folders.len()),
        categories.map(|answer| answer.into_inner().categories.len()),
    ]
}

/// What became of `calls` calls, of which the callers saw `errors` fail.
pub(super) fn tally(calls: usize, errors: usize, auth: &[Seen], api: &[Seen]) -> Tally {
    Tally {
        calls,
        refused: api.iter().filter(|seen| seen.code == Code::Unauthenticated).count(),
        refreshes: auth.iter().filter(|seen| seen.method == "Refresh").count(),
        replays: api.len() - calls.min(api.len()),
        errors,
    }
}

/// Short, so that nobody has to wait for long.
pub(super) const ACCESS_TOKEN_TTL: Duration = Duration::from_secs(2);
/// Past the token's life and the leeway that verifiers give it.
const IDLE: Duration = Duration::from_millis(4_400);
const TICK: Duration = Duration::from_millis(100);
