//! Guesses, and calls that come too fast.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    task::Poll,
};

use evergreen_proto::auth::v1::{
    LoginRequest, LoginServiceRequest, RegisterRequest, auth_service_server::AuthService as _,
};
use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use token::KeyDigest;
use tonic::{Code, Request, Status, transport::server::TcpConnectInfo};
use tonic_types::StatusExt as _;
use transport::{deadline::Deadline, status::reason_of};

use super::*;
use crate::{
    app::{Issued, Origin, RefreshRequest},
    domain::{guessing::FREE, user::LastAdmin},
};

pub(super) const PASSWORD: &str = "correct horse battery staple";
const ELSEWHERE: [u8; 4] = [192, 0, 2, 7];
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

/// A server's use cases and its RPCs, by a clock that moves when it is told to.
pub(super) struct Served {
    pub(super) app: Arc<App>,
    pub(super) rpc: AuthRpc,
    pub(super) clock: Arc<ManualClock>,
    pub(super) metrics: Metrics,
    _dir: TempDir,
}

pub(super) async fn serve(change: impl FnOnce(&mut Config)) -> Served {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let mut config = Config {
        open_registration: true,
        hash_memory_kib: 64,
        hash_iterations: 1,
        hash_queue: 200,
        ..config(&dir)
    };
    change(&mut config);
    let entropy = Arc::new(SeededEntropy::new(1));
    let server = Server::open(config, clock.clone(), entropy, Arc::new(Recorder::new()));
    let Server { app, metrics, .. } = server.await.unwrap();
    app.add_user(Administrator::OPERATOR, "ada", PASSWORD.into(), vec![Role::Editor])
        .await
        .unwrap();
    app.passwords.made.take();
    let rpc = AuthRpc::new(Arc::clone(&app), Duration::from_secs(10));
    Served { app, rpc, clock, metrics, _dir: dir }
}

impl Served {
    async fn login(&self, from: [u8; 4], name: &str, password: &str) -> Result<(), Status> {
        let request = LoginRequest {
            username: name.into(),
            password: password.into(),
            ..LoginRequest::default()
        };
        self.rpc.login(at(from, request)).await.map(drop)
    }

    /// Logs in as ada, and hangs up while the password is looked at.
    async fn hang_up(&self, password: &str) {
        self.app.passwords.made.take();
        let mut login = pin!(self.login(ELSEWHERE, "ada", password));
        while self.app.passwords.made.take().is_empty() {
            assert!(once(login.as_mut()).await.is_pending());
            tokio::task::yield_now().await;
        }
    }

    async fn fail(&self, name: &str) -> Status {
        self.login(ELSEWHERE, name, "wrong").await.unwrap_err()
    }

    async fn register(&self, from: [u8; 4], name: &str) -> Result<(), Status> {
        let request = RegisterRequest { username: name.into(), password: PASSWORD.into() };
        self.rpc.register(at(from, request)).await.map(drop)
    }

    pub(super) async fn refresh(&self, from: [u8; 4], token: &str) -> Result<Issued, AppError> {
        self.refresh_of(Origin { address: Some(from.into()), key: None }, token).await
    }

    async fn refresh_of(&self, origin: Origin, token: &str) -> Result<Issued, AppError> {
        let deadline = Deadline(self.clock.now() + Duration::from_secs(10));
        let request =
            RefreshRequest { token, key: None, after_superseded: false, deadline, origin };
        self.app.refresh(request).await
    }

    /// How many calls this limit has refused.
    pub(super) fn limited(&self, limit: &str) -> usize {
        let name = format!("evergreen_auth_limited_total{{limit=\"{limit}\"}} ");
        let text = self.metrics.render();
        text.lines().find_map(|line| line.strip_prefix(&name)).expect(limit).parse().unwrap()
    }

    async fn events(&self, kind: &str) -> usize {
        self.app.audit.flush().await;
        let events = self.app.store.newest_events(1000).await.unwrap();
        events.iter().filter(|event| event.kind.as_str() == kind).count()
    }
}

/// What a future answers if it is polled now.
async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// A request as it comes from there.
fn at<T>(from: [u8; 4], message: T) -> Request<T> {
    let mut request = Request::new(message);
    let remote_addr = Some(SocketAddr::from((from, 40_000)));
    request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
    request
}

/// All of an answer that its caller can see.
fn seen(status: &Status) -> (Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

fn told(status: &Status) -> (String, Option<Duration>) {
    let wait = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
    (reason_of(status).unwrap(), wait)
}

fn seconds(reason: &str, seconds: u64) -> (String, Option<Duration>) {
    (reason.to_owned(), Some(Duration::from_secs(seconds)))
}

/// Fault 49: nothing tells them apart, neither what is answered nor what is done for it.
#[tokio::test]
async fn unknown_wrong_disabled_and_impossible_names_are_one_answer_after_one_hash() {
    let served = serve(|_| {}).await;
    let app = &served.app;
    let by = Administrator::OPERATOR;
    let barred = app.add_user(by, "bob", PASSWORD.into(), vec![Role::Editor]).await.unwrap().id;
    let status = crate::domain::user::Status::Disabled;
    app.set_user_status(by, barred, status, LastAdmin::Stays).await.unwrap();
    app.passwords.made.take();
    let names = ["ada", "bob", "nobody", "no name at all", "", &"x".repeat(300)];
    for _ in 0..FREE {
        let expected = seen(&served.fail("stranger").await);
        assert_eq!(expected.0, Code::Unauthenticated);
        let cost = app.passwords.made.take();
        assert_eq!(cost.len(), 1);
        for name in names {
            assert_eq!(seen(&served.fail(name).await), expected, "{name:?}");
            assert_eq!(app.passwords.made.take(), cost, "{name:?}");
        }
    }
    let expected = served.fail("stranger").await;
    assert_eq!(told(&expected), seconds("ACCOUNT_LOCKED", 30));
    for name in names {
        for password in ["wrong", PASSWORD] {
            let refused = served.login(ELSEWHERE, name, password).await.unwrap_err();
            assert_eq!(seen(&refused), seen(&expected), "{name:?}");
        }
    }
    assert!(app.passwords.made.take().is_empty(), "a locked name's password is not looked at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_guesses_at_once_five_are_hashed_and_one_event_tells_of_the_lock() {
    let served = serve(|_| {}).await;
    let app = &served.app;
    let failed = join_all((0..100).map(|_| served.fail("ada"))).await;
    let locked = failed.iter().filter(|status| told(status) == seconds("ACCOUNT_LOCKED", 30));
    assert_eq!(locked.count() as u64, 100 - FREE);
    assert_eq!(app.passwords.made.take().len() as u64, FREE);
    assert_eq!(served.events("login_failed").await as u64, FREE);
    assert_eq!(served.events("login_locked").await, 1);
    // Whoever knows the password waits like anybody else, and then starts anew.
    assert!(served.login(ELSEWHERE, "ADA", PASSWORD).await.is_err());
    served.clock.advance(Duration::from_secs(30));
    served.login(ELSEWHERE, "ada", PASSWORD).await.unwrap();
    for _ in 1..FREE {
        assert_eq!(served.fail("ada").await.code(), Code::Unauthenticated);
    }
    served.login(ELSEWHERE, "ada", PASSWORD).await.unwrap();
    assert_eq!(served.events("login_locked").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_know_the_password_never_count() {
    let served = serve(|_| {}).await;
    for _ in 1..FREE {
        served.fail("ada").await;
    }
    let logins = (0..150).map(|_| served.login(ELSEWHERE, "ada", PASSWORD));
    assert!(join_all(logins).await.iter().all(Result::is_ok));
    for _ in 1..FREE {
        assert_eq!(served.fail("ada").await.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn who_hangs_up_has_failed_only_if_the_password_was_wrong() {
    // Long enough to be seen.
    let served = serve(|config| config.hash_memory_kib = 4096).await;
    for _ in 0..2 * FREE {
        served.hang_up(PASSWORD).await;
    }
    // Wherever it is by then.
    for polls in 0..50 {
        let mut login = pin!(served.login(ELSEWHERE, "ada", PASSWORD));
        for _ in 0..polls {
            if once(login.as_mut()).await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // Each waits for those before it.
    for _ in 1..FREE {
        assert_eq!(served.fail("ada").await.code(), Code::Unauthenticated);
    }
    served.login(ELSEWHERE, "ada", PASSWORD).await.unwrap();
    assert_eq!(served.events("login_failed").await as u64, FREE - 1);
    for _ in 0..FREE {
        served.hang_up("wrong").await;
    }
    assert_eq!(told(&served.fail("ada").await), seconds("ACCOUNT_LOCKED", 30));
    assert_eq!(served.events("login_failed").await as u64, FREE - 1 + FREE);
    assert_eq!(served.events("login_locked").await, 1);
}

#[tokio::test]
async fn a_wrong_old_password_counts_as_a_failed_login() {
    let served = serve(|_| {}).await;
    let app = &served.app;
    let login = app.login("ada", PASSWORD.into(), String::new(), Origin::default());
    let tokens = login.await.unwrap();
    let caller = app.authenticate(tokens.access_token.expose_secret()).await.unwrap();
    let new = "four other unrelated words";
    let change =
        |old: &str| app.change_password(&caller, old.into(), new.into(), Origin::default());
    for _ in 1..FREE {
        assert!(matches!(change("wrong").await, Err(AppError::InvalidCredentials)));
    }
    assert_eq!(served.fail("ada").await.code(), Code::Unauthenticated);
    assert!(matches!(change(PASSWORD).await, Err(AppError::AccountLocked { .. })));
    served.clock.advance(Duration::from_secs(30));
    change(PASSWORD).await.unwrap();
    assert!(matches!(change("wrong").await, Err(AppError::InvalidCredentials)));
}

#[tokio::test]
async fn an_address_has_many_failures_and_a_lock_of_either_kind_touches_no_session() {
    let served = serve(|_| {}).await;
    let tokens = served.app.login("ada", PASSWORD.into(), String::new(), Origin::default());
    let mut token = tokens.await.unwrap().refresh_token;
    for n in 0..100 {
        assert_eq!(served.fail(&format!("name-{n}")).await.code(), Code::Unauthenticated);
    }
    assert_eq!(told(&served.fail("another").await), seconds("RATE_LIMITED", 30));
    // There one waits with the right password too, and elsewhere not.
    let refused = served.login(ELSEWHERE, "ada", PASSWORD).await.unwrap_err();
    assert_eq!(told(&refused), seconds("RATE_LIMITED", 30));
    let there = [198, 51, 100, 1];
    served.login(there, "ada", PASSWORD).await.unwrap();
    for _ in 0..FREE {
        served.login(there, "ada", "wrong").await.unwrap_err();
    }
    let locked = served.login(there, "ada", PASSWORD).await.unwrap_err();
    assert_eq!(told(&locked), seconds("ACCOUNT_LOCKED", 30));
    for _ in 0..10 {
        token = served.refresh(ELSEWHERE, token.expose_secret()).await.unwrap().refresh_token;
    }
    served.clock.advance(Duration::from_secs(30));
    served.login(ELSEWHERE, "ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn this_machine_is_limited_by_name_alone_unless_it_is_asked_for() {
    for limited in [false, true] {
        let served = serve(|config| config.limit_loopback = limited).await;
        for n in 0..100 {
            served.login(LOOPBACK, &format!("name-{n}"), "wrong").await.unwrap_err();
        }
        let next = served.login(LOOPBACK, "ada", PASSWORD).await;
        assert_eq!(next.is_err(), limited);
        for _ in 0..FREE {
            served.fail("bob").await;
        }
        let locked = served.login(LOOPBACK, "bob", "wrong").await.unwrap_err();
        let expected = if limited { "RATE_LIMITED" } else { "ACCOUNT_LOCKED" };
        assert_eq!(told(&locked).0, expected);
    }
}

#[tokio::test]
async fn a_proxys_address_is_nobodys_and_names_and_sessions_behind_it_are_limited() {
    const PROXY: [u8; 4] = [10, 1, 2, 3];
    let served = serve(|config| {
        config.trusted_proxies = Some("192.168.0.0/16,10.0.0.0/8".parse().unwrap());
    })
    .await;
    let login = served.app.login("ada", PASSWORD.into(), String::new(), Origin::default());
    let mut token = login.await.unwrap().refresh_token;
    for from in [PROXY, ELSEWHERE] {
        for n in 0..100 {
            served.login(from, &format!("name-{n}"), "wrong").await.unwrap_err();
        }
        assert_eq!(served.login(from, "ada", PASSWORD).await.is_ok(), from == PROXY);
        for n in 0..40 {
            served.register(from, &format!("{n}-of-{}", from[0])).await.unwrap();
        }
        let another = served.register(from, &format!("another-of-{}", from[0])).await;
        assert_eq!(another.is_ok(), from == PROXY);
    }
    for _ in 0..FREE {
        served.login(PROXY, "bob", "wrong").await.unwrap_err();
    }
    let locked = served.login(PROXY, "bob", "wrong").await.unwrap_err();
    assert_eq!(told(&locked).0, "ACCOUNT_LOCKED");
    for _ in 0..50 {
        token = served.refresh(PROXY, token.expose_secret()).await.unwrap().refresh_token;
    }
    let refused = served.refresh(PROXY, token.expose_secret()).await.unwrap_err();
    assert!(matches!(refused, AppError::TooFast { .. }), "{refused:?}");
}

#[tokio::test]
async fn registrations_of_an_address_are_limited_before_they_are_hashed() {
    let served = serve(|_| {}).await;
    let register = async |from, n: usize| served.register(from, &format!("user-{n}")).await;
    for n in 0..40 {
        register(ELSEWHERE, n).await.unwrap();
    }
    served.app.passwords.made.take();
    assert_eq!(told(&register(ELSEWHERE, 40).await.unwrap_err()), seconds("RATE_LIMITED", 60));
    assert!(served.app.passwords.made.take().is_empty());
    register([198, 51, 100, 1], 41).await.unwrap();
    served.clock.advance(Duration::from_secs(60));
    register(ELSEWHERE, 40).await.unwrap();
}

#[tokio::test]
async fn wrong_secrets_are_limited_and_never_keep_a_right_one_out() {
    let served = serve(|_| {}).await;
    let made = served.app.create_service(Administrator::OPERATOR, "api", vec![]).await.unwrap();
    let login = async |from, client_id: String, secret: &str| {
        let request = LoginServiceRequest { client_id, client_secret: secret.into() };
        served.rpc.login_service(at(from, request)).await.map(drop)
    };
    let id = made.id.to_string();
    for _ in 0..30 {
        let refused = login(ELSEWHERE, id.clone(), "wrong").await.unwrap_err();
        assert_eq!(told(&refused), ("INVALID_CREDENTIALS".into(), None));
    }
    let there = [198, 51, 100, 1];
    // By its name, from anywhere; and by the address, under any name.
    for refused in [
        login(there, id.clone(), "wrong").await,
        login(there, id.to_ascii_uppercase(), "wrong").await,
        login(ELSEWHERE, "another".into(), "wrong").await,
    ] {
        assert_eq!(told(&refused.unwrap_err()), seconds("RATE_LIMITED", 10));
    }
    assert_eq!(served.events("service_login_failed").await, 30);
    let secret = made.secret.into_inner();
    login(ELSEWHERE, id, secret.expose_secret()).await.unwrap();
}

#[tokio::test]
async fn a_session_that_refreshes_too_fast_is_told_to_wait_and_loses_nothing() {
    let served = serve(|_| {}).await;
    let login = || served.app.login("ada", PASSWORD.into(), String::new(), Origin::default());
    let (mut token, other) = (login().await.unwrap().refresh_token, login().await.unwrap());
    for _ in 0..50 {
        token = served.refresh(ELSEWHERE, token.expose_secret()).await.unwrap().refresh_token;
    }
    for _ in 0..10 {
        let refused = served.refresh(ELSEWHERE, token.expose_secret()).await.unwrap_err();
        let AppError::TooFast { retry_after, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(retry_after, Duration::from_millis(100));
    }
    // Another session of the same user, from the same address, is not concerned.
    served.refresh(ELSEWHERE, other.refresh_token.expose_secret()).await.unwrap();
    served.clock.advance(Duration::from_millis(100));
    token = served.refresh(ELSEWHERE, token.expose_secret()).await.unwrap().refresh_token;
    // On this machine nobody is counted.
    for _ in 0..100 {
        token = served.refresh(LOOPBACK, token.expose_secret()).await.unwrap().refresh_token;
    }
}

/// The owner's refreshes are not the thief's to use up, and the log is not theirs to fill, even from
/// where addresses are not counted.
#[tokio::test]
async fn a_stolen_token_without_its_key_makes_few_events() {
    let served = serve(|config| {
        config.bind_sessions = true;
        config.tls_cert = Some("server.pem".into());
        config.tls_key = Some("server.key".into());
        config.tls_client_ca = Some("clients.pem".into());
        config.trusted_proxies = Some("192.0.2.0/24".parse().unwrap());
    })
    .await;
    let me = Origin { address: Some(ELSEWHERE.into()), key: Some(KeyDigest::of(b"mine")) };
    let login = served.app.login("ada", PASSWORD.into(), String::new(), me).await;
    let token = login.unwrap().refresh_token;
    let token = token.expose_secret();
    let steal = async || served.refresh(ELSEWHERE, token).await.unwrap_err();
    for _ in 0..20 {
        assert!(matches!(steal().await, AppError::CertificateMismatch));
    }
    for _ in 0..100 {
        let AppError::TooFast { retry_after, .. } = steal().await else { panic!("it is told") };
        assert_eq!(retry_after, Duration::from_secs(30));
    }
    assert_eq!(served.limited("mismatches_of_session"), 100);
    assert_eq!(served.events("refresh_certificate_mismatch").await, 20);
    let text = served.metrics.render();
    for (outcome, count) in [("unproved", 20), ("limited", 100), ("failed", 0)] {
        let line = format!("evergreen_auth_refreshes_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(text.contains(&line), "{text}");
    }
    served.refresh_of(me, token).await.expect("the owner has a pace of their own");
    served.clock.advance(Duration::from_secs(30));
    assert!(matches!(steal().await, AppError::CertificateMismatch));
}
