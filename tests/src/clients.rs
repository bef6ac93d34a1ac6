//! Clients that never tire: they rotate until they are told to stop, and report to a [`Ledger`].

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use client_sdk::{
    AuthServiceRefresher, AuthenticationError, RefreshFuture, RefreshRequest, Refresher, Renewal,
    Session, store::FileStore,
};
use evergreen_proto::{
    auth::v1::{
        self as pb, LoginRequest, LogoutRequest, RegisterRequest, TokenPair,
        auth_service_client::AuthServiceClient,
    },
    reason::{REFRESH_SUPERSEDED, SESSION_REVOKED},
};
use tokio::{sync::Notify, task::JoinSet, time::timeout};
use tonic::{Code, Response, Status, transport::Channel};
use transport::status::reason_of;

use crate::{
    PASSWORD, bearing, channel,
    ledger::Ledger,
    process::{AuthProgram, PATIENCE},
    with_metadata,
};

/// Clients of one server, at work.
#[derive(Debug)]
pub struct Clients {
    /// What they report.
    pub ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    applications: Vec<Application>,
}

/// A program with a session of the SDK in a file. It can crash.
#[derive(Debug)]
struct Application {
    crash: Arc<Notify>,
    thread: thread::JoinHandle<()>,
}

/// How many of which kind.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Clients that speak the wire themselves.
    pub bare: usize,
    /// Programs with a session of the SDK.
    pub applications: usize,
    /// Those who log in and out.
    pub visitors: usize,
}

impl Clients {
    /// Logs a crowd in, and lets it work.
    ///
    /// # Panics
    ///
    /// If the server does not serve.
    pub async fn start(program: &AuthProgram, stores: PathBuf, crowd: Crowd) -> Self {
        let ledger = Arc::new(Ledger::default());
        let stop = Arc::new(AtomicBool::new(false));
        let channel = || AuthServiceClient::new(channel(program.address));
        let user = RegisterRequest { username: USER.into(), password: PASSWORD.into() };
        channel().register(user).await.expect("the database is new");

        let mut tasks = JoinSet::new();
        for number in 0..crowd.bare {
            let mut client = Bare::new(channel(), &ledger, &stop);
            let token = client.login().await.expect("the server is up").refresh_token;
            tasks.spawn(async move { client.rotate(number, token).await });
        }
        for _ in 0..crowd.visitors {
            let client = Bare::new(channel(), &ledger, &stop);
            tasks.spawn(client.visit());
        }
        let mut applications = Vec::new();
        for number in 0..crowd.applications {
            let file = stores.join(format!("session-{number}.json"));
            let session = open(program.url(), &file, &ledger).await;
            session.login(USER, PASSWORD).await.expect("the server is up");
            let crash = Arc::new(Notify::new());
            let run = Run {
                url: program.url(),
                file,
                ledger: Arc::clone(&ledger),
                stop: Arc::clone(&stop),
                crash: Arc::clone(&crash),
            };
            let thread = thread::spawn(move || run.until_stopped());
            applications.push(Application { crash, thread });
        }
        Self { ledger, stop, tasks, applications }
    }

    /// Lets an application crash. It is started again at once, and goes on from its file.
    pub fn crash_application(&self, number: usize) {
        self.applications[number].crash.notify_one();
    }

    /// Tells all of them to stop after their next answer, and waits for that.
    ///
    /// # Panics
    ///
    /// If one of them has panicked, or gets no answer.
    pub async fn stop(mut self) -> Arc<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        let all = async {
            while let Some(done) = self.tasks.join_next().await {
                done.expect("no client panics");
            }
            for application in self.applications {
                let joined = tokio::task::spawn_blocking(|| application.thread.join()).await;
                joined.expect("the thread is joined").expect("no application panics");
            }
        };
        timeout(PATIENCE, all).await.expect("every client gets its last answer");
        self.ledger.assert_no_faults();
        self.ledger
    }
}

/// A client that speaks the wire itself, and keeps the rules of the protocol: a key is written down
/// before it is sent, and the attempt is repeated under it until it is answered.
struct Bare {
    client: AuthServiceClient<Channel>,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
}

impl Bare {
    fn new(
        client: AuthServiceClient<Channel>,
        ledger: &Arc<Ledger>,
        stop: &Arc<AtomicBool>,
    ) -> Self {
        Self { client, ledger: Arc::clone(ledger), stop: Arc::clone(stop) }
    }

    async fn login(&mut self) -> Result<TokenPair, Status> {
        let request = LoginRequest {
            username: USER.into(),
            password: PASSWORD.into(),
            ..LoginRequest::default()
        };
        let answer = heard(&self.ledger, self.client.login(request)).await?;
        Ok(answer.tokens.expect("Login answers with tokens"))
    }

    async fn attempt(&mut self, token: &str, key: &str) -> Result<TokenPair, Status> {
        let request = with_metadata(bearing(token, pb::RefreshRequest {}), "idempotency-key", key);
        let answer = heard(&self.ledger, self.client.refresh(request)).await?;
        Ok(answer.tokens.expect("Refresh answers with tokens"))
    }

    /// Rotates one session, generation by generation.
    async fn rotate(mut self, number: usize, mut token: String) {
        let mut attempts = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            attempts += 1;
            let key = format!("client-{number:04}-attempt-{attempts:08}");
            token = loop {
                let ledger = Arc::clone(&self.ledger);
                let _turn = ledger.turn().await;
                ledger.sending(&token, &key);
                match self.attempt(&token, &key).await {
                    Ok(pair) => {
                        ledger.answered(&token, &key, Some(&pair.refresh_token));
                        break pair.refresh_token;
                    }
                    Err(status) if is_transient(&status) => ledger.unanswered(),
                    Err(status) => {
                        if reason_of(&status).as_deref() == Some(REFRESH_SUPERSEDED) {
                            ledger.superseded();
                        }
                        return ledger.fault(format!("client {number} was refused: {status:?}"));
                    }
                }
            };
        }
    }

    /// Logs in and out.
    async fn visit(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let ledger = Arc::clone(&self.ledger);
            let turn = ledger.turn().await;
            let (session, token) = match self.login().await {
                Ok(pair) => (pair.session_id, pair.refresh_token),
                Err(status) if is_transient(&status) => {
                    ledger.turned_away();
                    continue;
                }
                Err(status) => return ledger.fault(format!("no login: {status:?}")),
            };
            ledger.logged_in(&session);
            drop(turn);
            loop {
                let _turn = ledger.turn().await;
                ledger.logging_out(&session);
                let request = bearing(&token, LogoutRequest {});
                let logout = heard(&ledger, self.client.logout(request));
                match logout.await {
                    Ok(_) => break ledger.logged_out(&session),
                    Err(status) if is_transient(&status) => ledger.turned_away(),
                    // The logout whose answer was lost.
                    Err(status) if reason_of(&status).as_deref() == Some(SESSION_REVOKED) => {
                        break ledger.logged_out(&session);
                    }
                    Err(status) => return ledger.fault(format!("no logout: {status:?}")),
                }
            }
        }
    }
}

/// What an application runs with, each time it is started.
struct Run {
    url: String,
    file: PathBuf,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    crash: Arc<Notify>,
}

impl Run {
    fn until_stopped(self) {
        loop {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime can be made");
            let crashed = runtime.block_on(async {
                tokio::select! {
                    () = self.crash.notified() => true,
                    () = self.refresh() => false,
                }
            });
            // As the end of a process does, this ends whatever is under way where it is. Only a
            // write that the system has already begun is waited for.
            drop(runtime);
            if !crashed {
                return;
            }
        }
    }

    async fn refresh(&self) {
        let session = open(self.url.clone(), &self.file, &self.ledger).await;
        loop {
            match session.refresh().await {
                Ok(()) if self.stop.load(Ordering::Relaxed) => return,
                Ok(()) => {}
                Err(
                    AuthenticationError::Unreachable { retry_after, .. }
                    | AuthenticationError::CoolingDown { retry_after, .. },
                ) => tokio::time::sleep(retry_after).await,
                Err(error) => {
                    return self.ledger.fault(format!("{}: {error:?}", self.file.display()));
                }
            }
        }
    }
}

/// The session in `file`. Its patience is short, so that it gives up, and tells its caller so, in
/// many an outage.
async fn open(url: String, file: &Path, ledger: &Arc<Ledger>) -> Session {
    let endpoint = Channel::from_shared(url).expect("an address makes a URL");
    let channel = endpoint.connect_lazy();
    let witness = Witness::new(AuthServiceRefresher::new(channel.clone()), ledger);
    let store = FileStore::open(file).expect("the file is whole");
    let session = Session::custom(witness)
        .channel(channel)
        .store(store)
        .budget(Duration::from_millis(300))
        .cool_down(Duration::from_millis(20))
        .connect();
    session.await.expect("a session connects without a server")
}

/// The SDK's own refresher, and what goes through it.
#[derive(Debug)]
pub(crate) struct Witness {
    refresher: AuthServiceRefresher,
    ledger: Arc<Ledger>,
}

impl Witness {
    pub(crate) fn new(refresher: AuthServiceRefresher, ledger: &Arc<Ledger>) -> Self {
        Self { refresher, ledger: Arc::clone(ledger) }
    }
}

impl Refresher for Witness {
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_> {
        Box::pin(async move {
            let _turn = self.ledger.turn().await;
            let (token, key) =
                (request.refresh_token().to_owned(), request.idempotency_key().to_owned());
            self.ledger.sending(&token, &key);
            let renewal = self.refresher.refresh(request).await;
            match &renewal {
                // The pair keeps its tokens to itself: the next attempt shows the successor.
                Renewal::Renewed(_) => self.ledger.answered(&token, &key, None),
                Renewal::Unreachable { .. } => self.ledger.unanswered(),
                Renewal::Superseded => self.ledger.superseded(),
                Renewal::Rejected { reason } => self.ledger.fault(format!("rejected: {reason}")),
                other => self.ledger.fault(format!("an outcome without a line here: {other:?}")),
            }
            renewal
        })
    }
}

/// The answer, or an error if it takes too long. What is said instead is noted by code and reason, as
/// `Unavailable STORAGE_UNAVAILABLE`.
async fn heard<T>(
    ledger: &Ledger,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    let answer = timeout(ATTEMPT, call).await;
    let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
    if let Err(status) = &answer {
        let reason = reason_of(status).unwrap_or_else(|| "without a reason".to_owned());
        ledger.excuse(format!("{:?} {reason}", status.code()));
    }
    answer.map(Response::into_inner)
}

/// Whether an error leaves everything open: the attempt may be repeated, and the session is kept.
fn is_transient(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => true,
        // What tonic makes of a connection that broke under a call, which no server says.
        Code::Unknown | Code::Cancelled | Code::Internal => reason_of(status).is_none(),
        _ => false,
    }
}

/// All sessions are this user's.
const USER: &str = "ada";
/// How long a call waits for its answer: longer than a request lives, so that the server has its say.
const ATTEMPT: Duration = Duration::from_secs(12);
