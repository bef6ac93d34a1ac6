//! The SDK's examples run, and do what they say.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use api_service::Config as ApiConfig;
use auth_service::{Config as AuthConfig, Server, ServiceCredentials};
use cli::lab::{DEMO_PASSWORD, DEMO_USER, Running, start_api, start_auth};
use evergreen_proto::auth::v1::{LoginRequest, LogoutRequest, TokenPair};
use http::{HeaderMap, Request, header::AUTHORIZATION};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tests::{auth_client_of, bearing, channel, process::PATIENCE};
use token::{clock::SystemClock, entropy::SystemEntropy};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::Command,
    sync::OnceCell,
    time::timeout,
};
use tonic::{Code, body::Body};
use tower::ServiceExt as _;
use transport::{recorder::Recorder, service::Service as _};

/// What `evergreen up --demo` starts, on free ports.
struct Demo {
    auth: Running,
    api: Running,
    /// A service account.
    account: ServiceCredentials,
    auth_seen: Arc<Recorder>,
    dir: TempDir,
}

impl Demo {
    async fn start(access_token_ttl: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(SystemClock::new());
        let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = AuthConfig {
            listen: free_port,
            data_dir: dir.path().to_owned(),
            access_token_ttl,
            hash_memory_kib: 64,
            hash_iterations: 1,
            ..AuthConfig::default()
        };
        let auth_seen = Arc::new(Recorder::new());
        let (auth, accounts) =
            start_auth(config, clock.clone(), auth_seen.clone(), true).await.unwrap();
        let config = ApiConfig {
            listen: free_port,
            data_dir: dir.path().to_owned(),
            auth_url: auth.url(),
            ..ApiConfig::default()
        };
        let observer = Arc::new(Recorder::new());
        let api = start_api(config, clock, observer, accounts.demo_user.as_deref()).await.unwrap();
        Self { auth, api, account: accounts.api, auth_seen, dir }
    }

    async fn example(&self, name: &str) -> Command {
        let mut example = example(name).await;
        example
            .env("AUTH_URL", self.auth.url())
            .env("API_URL", self.api.url())
            .current_dir(self.dir.path());
        example
    }

    async fn log_in(&self) -> TokenPair {
        let request = LoginRequest {
            username: DEMO_USER.into(),
            password: DEMO_PASSWORD.into(),
            ..LoginRequest::default()
        };
        let answer = auth_client_of(&self.auth).login(request).await.unwrap();
        answer.into_inner().tokens.unwrap()
    }

    /// AuthService has answered as many refreshes as the example has counted, but for those that
    /// were under way when it ended.
    fn answered(&self, counted: usize, under_way: usize) {
        let answered = self.auth_seen.count("Refresh", Code::Ok);
        assert!((counted..=counted + under_way).contains(&answered), "{counted}, {answered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quickstart_logs_in_once_and_lists_trees_every_time() {
    let demo = Demo::start(LONG).await;
    let first = run(demo.example("quickstart").await.args([DEMO_USER, DEMO_PASSWORD])).await;
    assert!(first.lines().count() > 1, "{first}");
    // It goes on with what its file holds: no name, no password.
    let again = run(&mut demo.example("quickstart").await).await;
    assert_eq!(again, first);
    let elsewhere = TempDir::new().unwrap();
    let stranger = finish(demo.example("quickstart").await.current_dir(elsewhere.path())).await;
    assert!(!stranger.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_calling_is_never_refused() {
    let demo = Demo::start(SHORT).await;
    let said = run(demo.example("keep_calling").await.arg("3")).await;
    let [calls, refreshes, errors] = figures(&said)[..] else { panic!("{said}") };
    assert_eq!(errors, 0, "{said}");
    assert!(calls > 3 && refreshes > 0, "{said}");
    demo.answered(refreshes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_serves_more_users_than_it_keeps_sessions_in_memory() {
    let demo = Demo::start(SHORT).await;
    let said = run(demo.example("gateway").await.arg("3")).await;
    let figures = figures(&said);
    let [users, capacity, held, opened, calls, refreshes, failed] = figures[..7] else {
        panic!("{said}")
    };
    assert_eq!((users, capacity, held, failed), (24, 8, 8, 0), "{said}");
    // Once to sign in, once for the first call, and again by those that had to make room.
    assert!(opened > 2 * users && opened < calls, "{said}");
    assert!(refreshes >= users, "{said}");
    demo.answered(refreshes, users);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_says_what_to_start_if_nothing_runs() {
    let mut gateway = example("gateway").await;
    // Nobody can listen there.
    let output = finish(gateway.env("AUTH_URL", "http://127.0.0.1:0")).await;
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("up --demo"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_refresher_makes_one_token_request_for_three_calls() {
    let said = run(&mut example("oauth2_refresher").await).await;
    let expected = "\
        three calls at once: 3 refused, 1 token request, 3 replayed, 0 failed\n\
        busy once, Retry-After 1 s: 2 token requests, 0 failed\n\
        no new refresh token in the answer: the old one has served again\n\
        the grant is revoked: 1 failed, signed out (invalid_grant)\n";
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn service_account_logs_in_once_for_three_calls() {
    let dir = TempDir::new().unwrap();
    let (clock, seen) = (Arc::new(SystemClock::new()), Arc::new(Recorder::new()));
    let data_dir = dir.path().to_owned();
    let config = AuthConfig { data_dir: data_dir.clone(), ..AuthConfig::default() };
    let entropy = Arc::new(SystemEntropy);
    let server = Server::open(config, clock.clone(), entropy, seen.clone()).await.unwrap();
    let made = server.create_service("worker", &["viewer"]).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let auth_url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(server.run(listener, std::future::pending()));
    let config = ApiConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir,
        auth_url: auth_url.clone(),
        ..ApiConfig::default()
    };
    let api = start_api(config, clock, seen.clone(), None).await.unwrap();

    let mut example = example("service_account").await;
    example.env("AUTH_URL", auth_url).env("API_URL", api.url()).env("CLIENT_ID", &made.client_id);
    let said = run(example.env("CLIENT_SECRET", made.client_secret.expose_secret())).await;
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("three calls at once, each with "), "{said}");
    assert_eq!(lines[1], r#"a service with the roles ["viewer"], active: true"#);
    assert_eq!(seen.count("LoginService", Code::Ok), 1);
    let refused = finish(example.env("CLIENT_SECRET", "another")).await;
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("INVALID_CREDENTIALS"), "{error}");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn guarded_service_knows_who_calls_it() {
    let demo = Demo::start(LONG).await;
    let mut example = demo.example("guarded_service").await;
    example.env("CLIENT_ID", &demo.account.client_id);
    example.env("CLIENT_SECRET", demo.account.client_secret.expose_secret());
    let mut serving = example.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(serving.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, said.next_line()).await.unwrap().unwrap().unwrap();
    let address = line.strip_prefix("listening on ").unwrap().parse().unwrap();

    let pair = demo.log_in().await;
    let known = greet(address, "Greet", Some(&pair.access_token)).await;
    assert_eq!(known["grpc-status"], "12");
    let message = known["grpc-message"].to_str().unwrap();
    let user = message.strip_prefix("nothing%20here%20yet,%20").unwrap();
    assert!(user.len() > 8 && !user.contains("whoever"), "{message}");

    let refused = [
        greet(address, "Greet", None).await,
        greet(address, "Greet", Some(&pair.refresh_token)).await,
    ];
    assert!(refused.iter().all(|answer| answer["grpc-status"] == "16"), "{refused:?}");
    assert_eq!(greet(address, "Dismiss", Some(&pair.access_token)).await["grpc-status"], "7");
    assert_eq!(greet(address, "Ping", None).await["grpc-status"], "12");

    let logout = bearing(&pair.access_token, LogoutRequest {});
    auth_client_of(&demo.auth).logout(logout).await.unwrap();
    let revoked = async {
        while greet(address, "Greet", Some(&pair.access_token)).await["grpc-status"] != "16" {}
    };
    timeout(PATIENCE, revoked).await.expect("it hears of the logout");
    serving.kill().await.unwrap();
}

/// What the example's service answers: it has no message to give, so that its status is all.
async fn greet(address: SocketAddr, method: &str, token: Option<&str>) -> HeaderMap {
    let uri = format!("/example.v1.GreeterService/{method}");
    let mut request = Request::post(uri).header("content-type", "application/grpc");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = channel(address).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    answer.headers().clone()
}

/// The example's program, which ends with its handle.
async fn example(name: &str) -> Command {
    static EXAMPLES: OnceCell<PathBuf> = OnceCell::const_new();
    let mut example = Command::new(EXAMPLES.get_or_init(build).await.join(name));
    example.env_clear().kill_on_drop(true);
    example
}

/// Runs it to its end.
async fn finish(example: &mut Command) -> Output {
    timeout(PATIENCE, example.output()).await.expect("an example ends").unwrap()
}

/// What an example says that succeeds.
async fn run(example: &mut Command) -> String {
    let output = finish(example).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example:?}: {}\n{said}{error}", output.status);
    said
}

/// The numbers in a text, in their order.
fn figures(text: &str) -> Vec<usize> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Lets cargo bring the examples up to date, and tells where they are. Cargo builds them beside the
/// tests of their own package, but not for this test alone.
async fn build() -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).expect("tests lie in <target>/<profile>/deps");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // The whole workspace, so that features are what they are under `cargo test`.
    cargo
        .args(["build", "--quiet", "--workspace", "--examples", "--profile", profile])
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .kill_on_drop(true);
    let built = timeout(BUILD, cargo.status()).await.expect("the examples are built in time");
    assert!(built.unwrap().success(), "the examples do not build");
    folder.join("examples")
}

/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(900);
/// So short that a client renews while an example runs.
const SHORT: Duration = Duration::from_secs(1);
const BUILD: Duration = Duration::from_secs(900);
