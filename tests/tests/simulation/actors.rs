//! Who acts: clients, servers, a thief.

use std::{path::PathBuf, sync::Arc, time::Duration};

use api_service::MemoryDatabase as Shelf;
use auth_service::MemoryDatabase;
use client_sdk::{
    AuthServiceRefresher, AuthenticationError, Event, Session, SessionState, SignOutReason,
    guard::{AuthServiceKeys, Guard, KeyCache},
    store::{MemoryStore, Store as _},
};
use evergreen_proto::{
    api::v1::{ListCategoriesRequest, api_service_client::ApiServiceClient},
    auth::v1::{RefreshRequest, auth_service_client::AuthServiceClient},
};
use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use tests::{PASSWORD, chance::Chance};
use token::entropy::{Entropy, SeededEntropy};
use tonic::{Code, Request, Status};
use tower::ServiceBuilder;

use crate::{
    book::Book,
    clock::Offset,
    network::{channel, incoming},
};

type Done = Result<(), Box<dyn std::error::Error>>;

/// One of the AuthServices.
#[derive(Clone, Debug)]
pub struct Auth {
    pub database: MemoryDatabase,
    pub directory: PathBuf,
    pub offset: Offset,
    pub entropy: Arc<SeededEntropy>,
    pub book: Book,
}

impl Auth {
    pub async fn run(self) -> Done {
        let config = auth_service::Config {
            data_dir: self.directory,
            open_registration: true,
            access_token_ttl: ACCESS_TOKEN,
            hash_memory_kib: 8,
            hash_iterations: 1,
            ..auth_service::Config::default()
        };
        let server = auth_service::Server::open_in_memory(
            &self.database,
            config,
            self.offset.clock(),
            self.entropy,
            Arc::new(self.book),
        );
        let server = server.await?;
        server.run_on(incoming().await?, std::future::pending()).await?;
        Ok(())
    }
}

/// The ApiService.
#[derive(Clone, Debug)]
pub struct Api {
    pub shelf: Shelf,
    pub offset: Offset,
    pub entropy: Arc<SeededEntropy>,
    pub book: Book,
}

impl Api {
    pub async fn run(self) -> Done {
        let keys = AuthServiceKeys::new(channel("auth0"));
        let keys = KeyCache::new(keys, self.offset.clock()).entropy(self.entropy.clone());
        let server = api_service::Server::open_in_memory(
            &self.shelf,
            api_service::Config::default(),
            self.offset.clock(),
            self.entropy,
            Arc::new(self.book),
            Guard::new("evergreen", "evergreen", keys),
        );
        server.await?.run_on(incoming().await?, std::future::pending()).await?;
        Ok(())
    }
}

/// A program with a session, and a store that outlives it.
#[derive(Clone, Debug)]
pub struct Client {
    pub name: &'static str,
    pub user: &'static str,
    /// Logs in where nobody is; another process on its store waits for that.
    pub logs_in: bool,
    pub auth: &'static str,
    pub store: MemoryStore,
    pub offset: Offset,
    pub chance: Arc<Chance>,
    pub entropy: Arc<SeededEntropy>,
    pub book: Book,
}

impl Client {
    pub async fn run(self) -> Done {
        let session = Session::custom(AuthServiceRefresher::new(channel(self.auth)))
            .channel(channel(self.auth))
            .store(self.store.clone())
            .clock(self.offset.clock())
            .entropy(self.entropy.clone())
            .proactive(!self.chance.one_in(3))
            .connect()
            .await?;
        let mut events = session.events();
        let channel = ServiceBuilder::new().layer(session.layer()).service(channel("api"));
        let api = ApiServiceClient::new(channel);
        self.look_after_the_crash(&session);
        loop {
            while let Some(event) = events.try_recv() {
                self.note(&session, &event);
            }
            if session.access_token().is_none() {
                self.sign_in(&session).await;
                continue;
            }
            self.remember_tokens(&session).await;
            tokio::time::sleep(self.chance.millis(50, 4_500)).await;
            match self.chance.below(60) {
                0 if self.logs_in => self.log_out(&session).await,
                1 => drop(session.refresh().await),
                _ => {
                    let n = 1 + self.chance.below(3);
                    join_all((0..n).map(|_| self.call(api.clone()))).await;
                }
            }
        }
    }

    /// Who was signed in when the program died is signed in when it starts again, unless they, or
    /// another process on the store, were about to leave.
    fn look_after_the_crash(&self, session: &Session) {
        let mut pages = self.book.pages();
        let held = pages.holders.get(self.name).cloned();
        if let (Some(id), None) = (held, session.access_token()) {
            pages.holders.remove(self.name);
            if !pages.left.contains(&id) {
                pages.rejected.push((id, "gone after a crash".to_owned()));
            }
        }
    }

    fn note(&self, session: &Session, event: &Event) {
        self.book.log(self.name, format_args!("{event:?}"));
        let mut pages = self.book.pages();
        match event {
            Event::SignedOut { reason: SignOutReason::Rejected(reason) } => {
                if let Some(id) = pages.holders.remove(self.name) {
                    pages.rejected.push((id, reason.clone()));
                }
            }
            // Its fellow on the store has logged out, or was told why.
            Event::SignedOut { .. } => drop(pages.holders.remove(self.name)),
            Event::SignedIn | Event::Refreshed => {
                if let SessionState::SignedIn { session_id } = &*session.state().borrow() {
                    pages.holders.insert(self.name, session_id.clone());
                }
            }
            _ => {}
        }
    }

    async fn sign_in(&self, session: &Session) {
        if !self.logs_in {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let _ = session.reload().await;
            return;
        }
        let outcome = match session.login(self.user, PASSWORD).await {
            Err(AuthenticationError::Service(status)) if status.code() == Code::Unauthenticated => {
                session.register(self.user, PASSWORD).await
            }
            outcome => outcome,
        };
        match outcome {
            Ok(()) => self.book.pages().tally.logins += 1,
            Err(error) => {
                self.book.log(self.name, format_args!("no login: {error}"));
                tokio::time::sleep(self.chance.millis(500, 1_500)).await;
            }
        }
    }

    async fn log_out(&self, session: &Session) {
        let stored = stored(&self.store).await;
        self.book.pages().left.extend(stored.clone().map(|stored| stored.session_id));
        let outcome = session.logout().await;
        self.book.log(self.name, format_args!("logs out: {outcome:?}"));
        let mut pages = self.book.pages();
        pages.holders.remove(self.name);
        pages.tally.logouts += 1;
        if let (Ok(()), Some(stored)) = (outcome, stored) {
            pages.logged_out.push((stored.session_id, stored.refresh_token));
        }
    }

    async fn call<S>(&self, mut api: ApiServiceClient<S>)
    where
        S: tonic::client::GrpcService<tonic::body::Body>,
        S::Error: Into<tonic::codegen::StdError>,
        S::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        <S::ResponseBody as http_body::Body>::Error: Into<tonic::codegen::StdError> + Send,
    {
        let mut request = Request::new(ListCategoriesRequest::default());
        request.set_timeout(DEADLINE);
        let began = tokio::time::Instant::now();
        let answer = api.list_categories(request).await;
        let lasted = began.elapsed();
        let code = answer.map_or_else(|status| status.code(), |_| Code::Ok);
        self.book.log(self.name, format_args!("call: {code:?} in {} ms", lasted.as_millis()));
        let mut pages = self.book.pages();
        pages.slowest = pages.slowest.max(lasted);
        if code == Code::Ok {
            pages.tally.calls += 1;
            pages.last_good.insert(self.name, turmoil::sim_elapsed().unwrap_or_default());
        } else {
            pages.tally.failed += 1;
        }
    }

    async fn remember_tokens(&self, session: &Session) {
        let access = session.access_token().map(|token| token.expose_secret().to_owned());
        let refresh = stored(&self.store).await.map(|stored| stored.refresh_token);
        self.book.pages().tokens.extend(access.into_iter().chain(refresh));
    }
}

/// Who copies a client's store, and spends what is in it.
#[derive(Clone, Debug)]
pub struct Thief {
    pub victim: Client,
    pub chance: Arc<Chance>,
    pub entropy: Arc<SeededEntropy>,
    pub book: Book,
}

impl Thief {
    /// Copies the store now, and spends the token in a while; then its successor, and so on.
    pub async fn run(self) -> Done {
        let Some(Stored { session_id: id, refresh_token: mut token }) =
            stored(&self.victim.store).await
        else {
            return Ok(());
        };
        self.book.log("thief", format_args!("copies {}'s token", self.victim.name));
        {
            let mut pages = self.book.pages();
            pages.stolen.insert(id.clone());
            pages.tally.thefts += 1;
        }
        let keyed = self.chance.one_in(2);
        let mut auth = AuthServiceClient::new(channel("auth0"));
        for _ in 0..1 + self.chance.below(4) {
            tokio::time::sleep(self.chance.millis(1, 9_000)).await;
            let mut request = Request::new(RefreshRequest {});
            request.set_timeout(DEADLINE);
            let metadata = request.metadata_mut();
            metadata.insert("authorization", format!("Bearer {token}").parse()?);
            if keyed {
                let entropy: &dyn Entropy = &*self.entropy;
                let key = u64::from_le_bytes(entropy.array());
                metadata.insert("idempotency-key", format!("the-thiefs-{key:020}").parse()?);
            }
            let answer = auth.refresh(request).await;
            let said = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
            self.book.log("thief", format_args!("refreshes (keyed: {keyed}): {said:?}"));
            if let Ok(pair) = answer {
                token = pair.into_inner().tokens.unwrap_or_default().refresh_token;
                let mut pages = self.book.pages();
                pages.tally.thieves_first += 1;
                pages.spent_by_thief.insert(id.clone());
            }
        }
        Ok(())
    }
}

/// Presents what was logged out once more, when all is calm.
pub async fn come_back(book: Book) -> Done {
    let logged_out = book.pages().logged_out.clone();
    let mut auth = AuthServiceClient::new(channel("auth1"));
    for (id, token) in logged_out {
        let mut request = Request::new(RefreshRequest {});
        request.set_timeout(DEADLINE);
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
        let answer = auth.refresh(request).await;
        let said = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        book.log("nobody", format_args!("comes back to {id}: {said:?}"));
        assert!(
            matches!(said, Code::Unauthenticated | Code::Unavailable | Code::DeadlineExceeded),
            "{id} was logged out, and refreshes: {said:?}"
        );
    }
    Ok(())
}

/// What a copy of a store gives away.
#[derive(Clone)]
struct Stored {
    session_id: String,
    refresh_token: String,
}

async fn stored(store: &MemoryStore) -> Option<Stored> {
    let record = store.load().await.ok()??;
    let record: serde_json::Value = serde_json::from_slice(&record.encode()).ok()?;
    let text = |name: &str| Some(record[name].as_str()?.to_owned());
    Some(Stored { session_id: text("session_id")?, refresh_token: text("refresh_token")? })
}

/// What every call is given; a good token lives about as long.
pub const DEADLINE: Duration = Duration::from_secs(4);
const ACCESS_TOKEN: Duration = Duration::from_secs(5);
