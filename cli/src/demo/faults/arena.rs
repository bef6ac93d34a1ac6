//! The servers that the faults are played against, on a clock that is moved instead of waited for.

use std::{path::Path, sync::Arc, time::Duration};

use client_sdk::{Session, SessionState, store::FileStore};
use token::clock::{Clock as _, ManualClock, SystemClock};
use tonic::Code;
use transport::recorder::Recorder;

use super::super::stage::{Api, Stage, api_at, page_load};
use crate::lab::{DEMO_PASSWORD, DEMO_USER, Failure, Running, start_api};

/// The stage, and an ApiService that refuses everybody: it wants tokens for another audience, the
/// mistake in a configuration that leads to this most often.
pub(super) struct Arena {
    pub(super) stage: Stage,
    pub(super) refusing: Running,
    pub(super) refusing_seen: Arc<Recorder>,
    clock: Arc<ManualClock>,
}

impl Arena {
    pub(super) async fn open(quiet: bool) -> Result<Self, Failure> {
        let clock = Arc::new(ManualClock::at(SystemClock::new().now()));
        let stage = Stage::set(clock.clone(), ACCESS_TOKEN_TTL, quiet).await?;
        let data_dir = stage.dir.path().join("refusing");
        let config = api_service::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir,
            auth_url: stage.auth.url(),
            audience: "somebody else".into(),
            ..api_service::Config::default()
        };
        let refusing_seen = Arc::new(Recorder::new());
        let refusing = start_api(config, clock.clone(), refusing_seen.clone(), None).await?;
        Ok(Self { stage, refusing, refusing_seen, clock })
    }

    pub(super) async fn close(self) -> Result<(), Failure> {
        self.refusing.stop().await?;
        self.stage.strike().await
    }

    /// A client that is logged in and is told of nothing but by refusals, at `auth_url`.
    pub(super) async fn client(&self, auth_url: String) -> Result<Session, Failure> {
        self.stage.client(auth_url, false).await
    }

    /// The same, with its tokens in the file at `path`.
    pub(super) async fn client_in_file(&self, path: &Path) -> Result<Session, Failure> {
        let session = Session::builder(self.stage.auth.url())
            .proactive(false)
            .store(FileStore::open(path)?)
            .connect()
            .await?;
        session.login(DEMO_USER, DEMO_PASSWORD).await?;
        Ok(session)
    }

    /// A stub of the ApiService that refuses everybody.
    pub(super) async fn refused(&self, session: &Session) -> Result<Api, Failure> {
        api_at(self.refusing.url(), session).await
    }

    /// Every access token runs out, and nothing has been seen so far.
    pub(super) fn access_tokens_run_out(&self) {
        self.clock.advance(ACCESS_TOKEN_TTL + LEEWAY);
        self.stage.curtain();
        self.refusing_seen.take();
    }

    /// How many refreshes AuthService has answered since the access tokens ran out.
    pub(super) fn refreshes(&self) -> usize {
        self.stage.auth_seen.count("Refresh", Code::Ok)
    }

    /// Whether `session` still stands: the next time that its token has run out, it gets another,
    /// and the calls of a page succeed.
    pub(super) async fn goes_on(&self, session: &Session) -> Result<bool, Failure> {
        self.access_tokens_run_out();
        let api = self.stage.api_as(session).await?;
        let answers = page_load(&api).await;
        let signed_in = matches!(*session.state().borrow(), SessionState::SignedIn { .. });
        Ok(signed_in && answers.iter().all(Result::is_ok) && self.refreshes() == 1)
    }
}

const ACCESS_TOKEN_TTL: Duration = Duration::from_secs(15 * 60);
/// More than verifiers allow.
const LEEWAY: Duration = Duration::from_secs(3);
