//! What is logged: one line for each call, whichever it is and however it ends, and never a secret.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex},
};

use auth_service::UserKind;
use cli::lab::{Running, start_api, start_auth};
use evergreen_proto::auth::v1::{
    ChangePasswordRequest, CreateServiceAccountRequest, CreateUserRequest, IntrospectTokenRequest,
    LoginRequest, LoginServiceRequest, LogoutRequest, RefreshRequest, RegisterRequest,
    RotateServiceSecretRequest, TokenPair, admin_service_client::AdminServiceClient,
    auth_service_client::AuthServiceClient,
};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;
use tempfile::TempDir;
use tests::{PASSWORD, bearing, channel, with_metadata};
use token::clock::{Clock, SystemClock};
use tonic::{Request, Response, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;
use transport::observe::{LOG_TARGET, LogObserver};

/// All that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Keeps everything that anybody logs, whatever its level.
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines of calls.
    fn calls(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["target"] == LOG_TARGET).collect()
    }
}

struct Services {
    auth: Running,
    api: Running,
    admin: TokenPair,
    _dir: TempDir,
}

impl Services {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let free_port = ([127, 0, 0, 1], 0).into();
        let config = auth_service::Config {
            listen: free_port,
            data_dir: dir.path().to_owned(),
            open_registration: true,
            hash_memory_kib: 64,
            hash_iterations: 1,
            reuse_grace: std::time::Duration::ZERO,
            ..auth_service::Config::default()
        };
        let entropy = Arc::new(token::entropy::SystemEntropy);
        let server = auth_service::Server::open(
            config.clone(),
            Arc::clone(&clock),
            entropy,
            Arc::new(LogObserver),
        );
        let server = server.await.unwrap();
        server.create_user("root", ADMIN_PASSWORD, UserKind::Admin).await.unwrap();
        server.close().await;
        let started = start_auth(config, Arc::clone(&clock), Arc::new(LogObserver), false).await;
        let (auth, accounts) = started.unwrap();
        let mut config = api_service::Config {
            listen: free_port,
            data_dir: dir.path().to_owned(),
            auth_url: auth.url(),
            ..api_service::Config::default()
        };
        accounts.configure(&mut config);
        let api = start_api(config, clock, Arc::new(LogObserver), None).await.unwrap();
        let admin = LoginRequest {
            username: "root".into(),
            password: ADMIN_PASSWORD.into(),
            ..LoginRequest::default()
        };
        let admin = AuthServiceClient::new(channel(auth.address)).login(admin).await.unwrap();
        let admin = admin.into_inner().tokens.unwrap();
        Self { auth, api, admin, _dir: dir }
    }

    fn auth_client(&self) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(channel(self.auth.address))
    }

    fn admin_client(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(channel(self.auth.address))
    }
}

/// An RPC of the contract.
struct Rpc {
    path: String,
    sends_stream: bool,
    answers_stream: bool,
}

fn rpcs() -> Vec<Rpc> {
    let files = FileDescriptorSet::decode(evergreen_proto::FILE_DESCRIPTOR_SET).unwrap().file;
    let files = files.iter().filter(|file| file.package().starts_with("evergreen."));
    let services = files.flat_map(|file| file.service.iter().map(move |it| (file.package(), it)));
    let rpcs = services.flat_map(|(package, service)| {
        service.method.iter().map(move |method| Rpc {
            path: format!("/{package}.{}/{}", service.name(), method.name()),
            sends_stream: method.client_streaming(),
            answers_stream: method.server_streaming(),
        })
    });
    rpcs.collect()
}

/// Calls it with an empty message, and listens no longer than to the head of a stream.
async fn call(services: &Services, rpc: &Rpc, token: Option<&str>) -> Result<(), Status> {
    let address = match rpc.path.starts_with("/evergreen.api.") {
        true => services.api.address,
        false => services.auth.address,
    };
    let mut client = Grpc::new(channel(address));
    client.ready().await.unwrap();
    let path = rpc.path.parse().unwrap();
    let codec: ProstCodec<(), ()> = ProstCodec::default();
    let bear = |message| match token {
        Some(token) => bearing(token, message),
        None => Request::new(message),
    };
    if rpc.sends_stream {
        let request = token.map_or_else(
            || Request::new(tokio_stream::once(())),
            |token| bearing(token, tokio_stream::once(())),
        );
        return client.client_streaming(request, path, codec).await.map(|_: Response<()>| ());
    }
    if rpc.answers_stream {
        return client.server_streaming(bear(()), path, codec).await.map(drop);
    }
    client.unary(bear(()), path, codec).await.map(|_: Response<()>| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_one_line_and_no_line_holds_a_secret() {
    let log = Log::start();
    let services = Services::start().await;
    let mut secrets = vec![ADMIN_PASSWORD.to_owned(), PASSWORD.to_owned()];
    let mut calls = 1;
    let mut auth = services.auth_client();

    // What holds secrets, as it should be and as it should not.
    let request = RegisterRequest { username: "ada".into(), password: PASSWORD.into() };
    let tokens = auth.register(request.clone()).await.unwrap().into_inner().tokens.unwrap();
    auth.register(request).await.unwrap_err();
    let wrong = LoginRequest {
        username: MISTYPED.into(),
        password: "a wrong password, all the same".into(),
        ..LoginRequest::default()
    };
    secrets.extend([wrong.username.clone(), wrong.password.clone()]);
    auth.login(wrong).await.unwrap_err();
    let spent = tokens.refresh_token.clone();
    let refresh = || with_metadata(bearing(&spent, RefreshRequest {}), "idempotency-key", KEY);
    secrets.push(KEY.to_owned());
    let next = auth.refresh(refresh()).await.unwrap().into_inner().tokens.unwrap();
    let request = IntrospectTokenRequest { token: next.refresh_token.clone() };
    auth.introspect_token(bearing(&next.access_token, request)).await.unwrap_err();
    let change = ChangePasswordRequest {
        old_password: PASSWORD.into(),
        new_password: "another horse, another battery".into(),
    };
    secrets.push(change.new_password.clone());
    auth.change_password(bearing(&next.access_token, change)).await.unwrap();
    let newest = auth.refresh(bearing(&next.refresh_token, RefreshRequest {})).await.unwrap();
    let newest = newest.into_inner().tokens.unwrap();
    // A spent token comes back, under another key: theft.
    auth.refresh(with_metadata(bearing(&spent, RefreshRequest {}), "after-superseded", "1"))
        .await
        .unwrap_err();
    auth.refresh(bearing("not.a.token", RefreshRequest {})).await.unwrap_err();
    calls += 9;
    let mut admin = services.admin_client();
    let root = services.admin.access_token.clone();
    let request = CreateUserRequest {
        username: "bob".into(),
        password: "this is the password of bob".into(),
        ..CreateUserRequest::default()
    };
    secrets.push(request.password.clone());
    admin.create_user(bearing(&root, request)).await.unwrap();
    let request = CreateServiceAccountRequest { name: "worker".into(), ..Default::default() };
    let worker = admin.create_service_account(bearing(&root, request)).await.unwrap().into_inner();
    let request = RotateServiceSecretRequest {
        client_id: worker.client_id.clone(),
        ..RotateServiceSecretRequest::default()
    };
    let rotated = admin.rotate_service_secret(bearing(&root, request)).await.unwrap().into_inner();
    let mut login = async |client_secret: &str| {
        let (client_id, client_secret) = (worker.client_id.clone(), client_secret.to_owned());
        auth.login_service(LoginServiceRequest { client_id, client_secret }).await
    };
    login("a wrong secret, as long as a right one").await.unwrap_err();
    let service = login(&rotated.client_secret).await.unwrap().into_inner().access_token;
    secrets.extend(["a wrong secret, as long as a right one".to_owned()]);
    secrets.extend([worker.client_secret.clone(), rotated.client_secret]);
    auth.logout(bearing(&services.admin.refresh_token, LogoutRequest {})).await.unwrap();
    calls += 6;

    // Every RPC there is, with whatever token.
    let tokens = [
        tokens.access_token,
        newest.access_token.clone(),
        newest.refresh_token,
        service,
        root,
        "x".repeat(9_000),
        next.access_token,
        next.refresh_token,
        spent,
        services.admin.refresh_token.clone(),
    ];
    let all = rpcs();
    for rpc in &all {
        let _ = call(&services, rpc, None).await;
        for token in &tokens {
            let _ = call(&services, rpc, Some(token)).await;
        }
        calls += 1 + tokens.len();
    }
    services.api.stop().await.unwrap();
    services.auth.stop().await.unwrap();
    // Signatures too: what is left of a token that was cut short.
    for token in tokens {
        secrets.extend(token.rsplit_once('.').map(|(_, signature)| signature.to_owned()));
        secrets.push(token);
    }

    let text = log.text();
    for secret in &secrets {
        let line = text.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "it holds {secret}");
    }
    let lines = log.calls();
    let method = |line: &Value| line["rpc.method"].as_str().unwrap().to_owned();
    // ApiService calls too: its account's login, its stream of revocations, and for keys.
    let own = ["GetJwks", "LoginService", "WatchRevocations"];
    let is_own = |line: &&Value| own.iter().any(|name| method(line).ends_with(name));
    let foreign = lines.iter().filter(|line| !is_own(line)).count();
    let own_calls = own.len() * (1 + 10) + 2;
    assert_eq!(foreign, calls - own_calls, "one line for each call");
    let seen: BTreeSet<_> = lines.iter().map(method).collect();
    let contract: BTreeSet<_> = all.iter().map(|rpc| rpc.path.clone()).collect();
    assert_eq!(seen, contract);
    for line in &lines {
        assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
        assert!(line["rpc.elapsed_us"].is_u64(), "{line}");
        if line["rpc.code"] == "UNAUTHENTICATED" {
            assert!(line["rpc.reason"].is_string(), "{line}");
        }
    }
    let refreshed = lines.iter().find(|line| {
        method(line) == "/evergreen.auth.v1.AuthService/Refresh" && line["rpc.code"] == "OK"
    });
    assert!(refreshed.unwrap()["account"].is_string(), "{refreshed:?}");
}

const ADMIN_PASSWORD: &str = "the password of whoever administers";
/// What was typed into the wrong field is likely to be a password.
const MISTYPED: &str = "a-password-in-the-wrong-field";
const KEY: &str = "0123456789abcdef-a-key-of-an-attempt";
