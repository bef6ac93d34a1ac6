//! From data directory to the first answer.

use std::{convert::Infallible, path::Path, pin::Pin, task};

use client_sdk::guard::Kind;
use evergreen_proto::{
    api::v1::{ListTreesRequest, api_service_client::ApiServiceClient},
    auth::v1::{GetJwksRequest, GetJwksResponse, JsonWebKey},
};
use token::{
    AccessClaims, SigningKey,
    clock::SystemClock,
    entropy::{SeededEntropy, SystemEntropy},
};
use tonic::{
    Request, Response,
    body::Body,
    codegen::http,
    server::{Grpc, NamedService},
    transport::Endpoint,
};
use tonic_prost::ProstCodec;
use transport::{
    drain::Drain, observe::LogObserver, overload::DEFAULT_REQUESTS, serve::connections,
};

use super::*;

fn config(dir: &Path) -> Config {
    Config { data_dir: dir.join("data"), ..Config::default() }
}

async fn open(config: Config) -> Result<Server, StartError> {
    let clock = Arc::new(SystemClock::new());
    Server::open(config, clock, Arc::new(SystemEntropy), Arc::new(LogObserver)).await
}

#[tokio::test]
async fn a_directory_is_used_by_one_server_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(config(dir.path())).await.unwrap();
    let second = open(config(dir.path())).await.unwrap_err();
    assert!(matches!(second, StartError::InUse { .. }), "{second}");
    drop(first);
    open(config(dir.path())).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_private_is_private_on_the_disk() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let _server = open(config(dir.path())).await.unwrap();
    let data = dir.path().join("data");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in ["api.db", "api.db-wal", "api.lock"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn an_error_at_the_start_names_the_setting_and_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let occupied = dir.path().join("file");
    std::fs::write(&occupied, "").unwrap();
    let unwritable = open(config(&occupied)).await.unwrap_err();
    assert!(matches!(unwritable, StartError::DataDir { .. }), "{unwritable:?}");

    let file = dir.path().join("data/api.db");
    drop(open(config(dir.path())).await.unwrap());
    let store = SqliteStore::open(&file).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) VALUES (9999, 'later', TRUE, x'00', 0)";
    store.execute_for_test(newer).await;
    drop(store);
    let newer = open(config(dir.path())).await.unwrap_err();
    let text = newer.to_string();
    assert!(text.contains("--data-dir: ") && text.contains("run the newer program"), "{newer:?}");

    for entry in std::fs::read_dir(dir.path().join("data")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    std::fs::write(&file, "this is no database, however long it goes on".repeat(100)).unwrap();
    let corrupt = open(config(dir.path())).await.unwrap_err();
    assert!(matches!(corrupt, StartError::Corrupt { .. }), "{corrupt:?}");

    let bad = open(Config { auth_url: "nowhere".into(), ..config(dir.path()) }).await.unwrap_err();
    assert!(bad.to_string().starts_with("--auth-url: "), "{bad}");
    for error in [unwritable, newer, corrupt] {
        assert!(error.to_string().starts_with("--data-dir: "), "{error}");
        assert!(error.to_string().contains("; "), "{error}");
    }
}

#[tokio::test]
async fn a_database_server_that_cannot_be_used_is_named_with_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let url = "postgres://ada:hush@127.0.0.1:1/trees".into();
    let config = Config { database_url: Some(url), ..config(dir.path()) };
    assert!(!format!("{config:?}").contains("hush"));
    let error = open(config).await.unwrap_err();
    assert!(matches!(error, StartError::Database { .. }), "{error:?}");
    let error = error.to_string();
    assert!(error.starts_with("--database-url: ") && error.contains("its address"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}

#[tokio::test]
async fn several_servers_use_one_database_and_none_uses_the_directory() {
    let Some(postgres) = private_postgres::Postgres::shared() else { return };
    let url = postgres.create_database("servers").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = Config { database_url: Some(url.as_str().into()), ..config(dir.path()) };
    let (one, other) = tokio::join!(open(config.clone()), open(config.clone()));
    let (_one, other) = (one.unwrap(), other.unwrap());
    other.seed_demo("ada").await.unwrap();
    assert!(!config.data_dir.exists());
}

/// An AuthService that serves `GetJwks` alone.
#[derive(Clone)]
struct FakeAuth(Arc<SigningKey>);

impl NamedService for FakeAuth {
    const NAME: &'static str = "evergreen.auth.v1.AuthService";
}

impl tower::Service<http::Request<Body>> for FakeAuth {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), "/evergreen.auth.v1.AuthService/GetJwks");
        assert!(request.headers().get("authorization").is_none());
        let public = self.0.public().clone();
        let answer = tower::service_fn(move |_: Request<GetJwksRequest>| {
            let key = JsonWebKey {
                kty: "OKP".into(),
                crv: "Ed25519".into(),
                alg: "EdDSA".into(),
                r#use: "sig".into(),
                kid: public.kid().into(),
                x: public.x(),
            };
            let answer = GetJwksResponse { keys: vec![key], max_age: None };
            std::future::ready(Ok(Response::new(answer)))
        });
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(answer, request).await) })
    }
}

#[tokio::test]
async fn keys_come_from_the_auth_service_that_is_named() {
    let key = Arc::new(SigningKey::generate(&SeededEntropy::new(3)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let auth_url = format!("http://{}", listener.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    // The keys' service need not be there when the server opens.
    let server = open(Config { auth_url, ..config(dir.path()) }).await.unwrap();
    let serving = Serving {
        clock: Arc::new(SystemClock::new()),
        observer: Arc::new(LogObserver),
        trace_ids: Arc::new(TraceIds::new([7; 16])),
        request_life: Duration::from_secs(5),
        uploads: &[],
        waiting: &[],
        most_requests: DEFAULT_REQUESTS,
        drain: Drain::within(Duration::ZERO),
    };
    let routes = Routes::new(FakeAuth(Arc::clone(&key)));
    tokio::spawn(serving.run(connections(listener), routes, &[], std::future::pending()));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(server.run(listener, std::future::pending()));
    let now = SystemClock::new().now().unix_seconds();
    let token = key.sign(&AccessClaims {
        iss: "evergreen".into(),
        aud: "evergreen".into(),
        sub: "ada".into(),
        client_id: "evergreen".into(),
        sid: "s".into(),
        jti: "1".into(),
        iat: now,
        exp: now + 60,
        roles: vec!["viewer".into()],
        kind: Kind::User,
        roles_version: 0,
    });
    let mut request = Request::new(ListTreesRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    let trees = ApiServiceClient::new(channel).list_trees(request).await.unwrap();
    assert!(trees.into_inner().trees.is_empty());
}
