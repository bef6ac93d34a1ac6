//! Against a real tonic server over TCP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use client_sdk::{AuthenticationError as E, Session, SessionState};
use evergreen_proto::auth::v1::{
    self as pb,
    auth_service_server::{AuthService, AuthServiceServer},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Mints `access-n`/`refresh-n` and takes only the newest access token.
#[derive(Clone, Default)]
struct Fake {
    minted: Arc<AtomicUsize>,
    refreshes: Arc<AtomicUsize>,
    logouts: Arc<AtomicUsize>,
    /// The access token that has run out.
    expired: Arc<Mutex<String>>,
    /// Answers every `Refresh` so.
    verdict: Arc<Mutex<Option<Status>>>,
    seen: Arc<Mutex<Vec<(&'static str, MetadataMap)>>>,
}

impl Fake {
    fn mint(&self) -> Option<pb::TokenPair> {
        let n = self.minted.fetch_add(1, SeqCst);
        Some(pb::TokenPair {
            access_token: format!("access-{n}"),
            refresh_token: format!("refresh-{n}"),
            session_id: "s1".to_owned(),
            ..Default::default()
        })
    }

    fn note<T>(&self, rpc: &'static str, request: &Request<T>) -> String {
        let metadata = request.metadata().clone();
        let token = metadata.get("authorization").map_or("", |v| v.to_str().unwrap()).to_owned();
        self.seen.lock().unwrap().push((rpc, metadata));
        token
    }

    async fn serve(self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(AuthServiceServer::new(self))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        format!("http://{address}")
    }
}

fn error(reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "evergreen", HashMap::new());
    Status::with_error_details(Code::Unauthenticated, reason, details)
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AuthService for Fake {
    async fn register(&self, r: Request<pb::RegisterRequest>) -> Answer<pb::RegisterResponse> {
        self.note("Register", &r);
        Ok(Response::new(pb::RegisterResponse { tokens: self.mint() }))
    }

    async fn login(&self, r: Request<pb::LoginRequest>) -> Answer<pb::LoginResponse> {
        self.note("Login", &r);
        if r.get_ref().password != "right" {
            return Err(error("INVALID_CREDENTIALS"));
        }
        Ok(Response::new(pb::LoginResponse { tokens: self.mint() }))
    }

    async fn refresh(&self, r: Request<pb::RefreshRequest>) -> Answer<pb::RefreshResponse> {
        self.note("Refresh", &r);
        self.refreshes.fetch_add(1, SeqCst);
        if let Some(status) = self.verdict.lock().unwrap().clone() {
            return Err(status);
        }
        Ok(Response::new(pb::RefreshResponse { tokens: self.mint() }))
    }

    async fn logout(&self, r: Request<pb::LogoutRequest>) -> Answer<pb::LogoutResponse> {
        self.note("Logout", &r);
        if self.logouts.fetch_add(1, SeqCst) == 0 {
            return Err(Status::unavailable("the first one is lost"));
        }
        Ok(Response::new(pb::LogoutResponse {}))
    }

    async fn get_current_user(
        &self,
        r: Request<pb::GetCurrentUserRequest>,
    ) -> Answer<pb::GetCurrentUserResponse> {
        let token = self.note("GetCurrentUser", &r);
        if token == format!("Bearer {}", self.expired.lock().unwrap()) {
            return Err(error("ACCESS_TOKEN_EXPIRED"));
        }
        let user = pb::User { username: "ada".to_owned(), ..Default::default() };
        Ok(Response::new(pb::GetCurrentUserResponse {
            user: Some(user),
            session_id: "s1".to_owned(),
        }))
    }

    async fn change_password(
        &self,
        r: Request<pb::ChangePasswordRequest>,
    ) -> Answer<pb::ChangePasswordResponse> {
        self.note("ChangePassword", &r);
        Err(error("INVALID_CREDENTIALS"))
    }

    async fn list_sessions(
        &self,
        _: Request<pb::ListSessionsRequest>,
    ) -> Answer<pb::ListSessionsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn revoke_session(
        &self,
        _: Request<pb::RevokeSessionRequest>,
    ) -> Answer<pb::RevokeSessionResponse> {
        Err(Status::unimplemented(""))
    }

    async fn revoke_all_sessions(
        &self,
        _: Request<pb::RevokeAllSessionsRequest>,
    ) -> Answer<pb::RevokeAllSessionsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn get_jwks(&self, _: Request<pb::GetJwksRequest>) -> Answer<pb::GetJwksResponse> {
        Err(Status::unimplemented(""))
    }

    async fn login_service(
        &self,
        _: Request<pb::LoginServiceRequest>,
    ) -> Answer<pb::LoginServiceResponse> {
        Err(Status::unimplemented(""))
    }

    async fn introspect_token(
        &self,
        _: Request<pb::IntrospectTokenRequest>,
    ) -> Answer<pb::IntrospectTokenResponse> {
        Err(Status::unimplemented(""))
    }

    type WatchRevocationsStream = tokio_stream::Empty<Result<pb::WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        _: Request<pb::WatchRevocationsRequest>,
    ) -> Answer<Self::WatchRevocationsStream> {
        Err(Status::unimplemented(""))
    }
}

async fn logged_in(fake: &Fake) -> Session {
    let session = Session::builder(fake.clone().serve().await).connect().await.unwrap();
    session.login("ada", "right").await.unwrap();
    session
}

// Fault 31.
#[tokio::test]
async fn only_refresh_carries_the_refresh_token_and_it_never_carries_the_access_token() {
    let fake = Fake::default();
    let session = logged_in(&fake).await;
    *fake.expired.lock().unwrap() = "access-0".to_owned();
    assert_eq!(session.verify().await.unwrap().username, "ada");
    assert_eq!(fake.refreshes.load(SeqCst), 1);

    let seen = fake.seen.lock().unwrap().clone();
    let tokens: Vec<_> = seen
        .iter()
        .map(|(rpc, m)| (*rpc, m.get("authorization").map_or("", |v| v.to_str().unwrap())))
        .collect();
    assert_eq!(
        tokens,
        [
            ("Login", ""),
            ("GetCurrentUser", "Bearer access-0"),
            ("Refresh", "Bearer refresh-0"),
            ("GetCurrentUser", "Bearer access-1"),
        ]
    );
    let key = seen[2].1.get("idempotency-key").unwrap();
    assert!((16..=64).contains(&key.len()));
    assert!(seen[2].1.get("after-superseded").is_none());
    assert!(seen.iter().all(|(rpc, m)| *rpc == "Refresh" || m.get("idempotency-key").is_none()));
}

#[tokio::test]
async fn fifty_callers_make_one_refresh() {
    let fake = Fake::default();
    let session = logged_in(&fake).await;
    *fake.expired.lock().unwrap() = "access-0".to_owned();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.verify().await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(fake.refreshes.load(SeqCst), 1);
}

// Fault 30.
#[tokio::test]
async fn a_refresh_that_is_itself_refused_neither_recurses_nor_hangs() {
    let fake = Fake::default();
    let session = logged_in(&fake).await;
    *fake.expired.lock().unwrap() = "access-0".to_owned();
    *fake.verdict.lock().unwrap() = Some(error("REFRESH_TOKEN_EXPIRED"));
    let refused = session.verify().await;
    assert!(matches!(refused, Err(E::Rejected { reason }) if reason == "REFRESH_TOKEN_EXPIRED"));
    assert_eq!(fake.refreshes.load(SeqCst), 1);
    assert!(matches!(*session.state().borrow(), SessionState::SignedOut { .. }));
}

// Fault 24.
#[tokio::test]
async fn a_proxys_bare_unauthenticated_keeps_the_session() {
    let fake = Fake::default();
    let session = Session::builder(fake.clone().serve().await)
        .budget(std::time::Duration::from_millis(300))
        .connect()
        .await
        .unwrap();
    session.login("ada", "right").await.unwrap();
    for status in [
        Status::unauthenticated("a proxy"),
        Status::unavailable(""),
        Status::deadline_exceeded(""),
        Status::resource_exhausted(""),
    ] {
        *fake.verdict.lock().unwrap() = Some(status);
        assert!(session.refresh().await.unwrap_err().is_transient());
        assert!(session.access_token().is_some());
    }
}

#[tokio::test]
async fn a_wrong_password_is_the_services_answer() {
    let fake = Fake::default();
    let session = logged_in(&fake).await;
    let error = session.login("ada", "wrong").await.unwrap_err();
    assert_eq!(error.reason().as_deref(), Some("INVALID_CREDENTIALS"));
    let error = session.change_password("wrong", "new").await.unwrap_err();
    assert_eq!(error.reason().as_deref(), Some("INVALID_CREDENTIALS"));
    assert!(session.access_token().is_some());
    assert_eq!(fake.refreshes.load(SeqCst), 0);
}

#[tokio::test]
async fn logout_clears_locally_and_is_repeated_until_it_is_answered() {
    let fake = Fake::default();
    let session = logged_in(&fake).await;
    session.logout().await.unwrap();
    assert_eq!(fake.logouts.load(SeqCst), 2);
    assert!(session.access_token().is_none());
    let last = fake.seen.lock().unwrap().last().unwrap().clone();
    assert_eq!(last.1.get("authorization").unwrap(), "Bearer refresh-0");
    assert!(matches!(session.verify().await, Err(E::SignedOut { .. })));
}

#[tokio::test]
async fn logout_without_a_server_is_reported_and_still_signs_out() {
    let session = Session::builder("http://127.0.0.1:1")
        .budget(std::time::Duration::from_millis(50))
        .connect()
        .await
        .unwrap();
    session.set_tokens(client_sdk::testing::pair(0)).await.unwrap();
    assert!(matches!(session.logout().await, Err(E::Unreachable { .. })));
    assert!(session.access_token().is_none());
}

#[tokio::test]
async fn a_malformed_endpoint_is_a_configuration_error() {
    let made = Session::builder("not a url").connect().await;
    assert!(matches!(made, Err(E::Configuration { .. })));
}
