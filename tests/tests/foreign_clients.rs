//! Clients that nobody here wrote speak to both services: Python and Node from the `.proto` files,
//! grpcurl and `buf curl` by reflection. And a verifier that speaks no gRPC at all trusts what the
//! published keys signed.
//!
//! They need tools that a fresh machine may lack. A test whose tool is missing says so and passes,
//! unless `EVERGREEN_REQUIRE_FOREIGN_CLIENTS` is set.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{env, ffi::OsStr, io::ErrorKind, path::Path, process::Stdio, sync::Arc};

use cli::lab::{DEMO_PASSWORD, DEMO_USER, Running, start_api, start_auth};
use evergreen_proto::auth::v1::LoginRequest;
use serde_json::Value;
use tempfile::TempDir;
use tests::{auth_client_of, encrypted::Encrypted};
use token::clock::{Clock, SystemClock};
use tokio::process::Command;
use tonic::Code;
use transport::{observe::LogObserver, tls::ClientAuth};

/// Both services, with the demo user and their trees.
struct Demo {
    auth: Running,
    api: Running,
    _dir: TempDir,
}

async fn demo() -> Demo {
    let dir = TempDir::new().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let free_port = ([127, 0, 0, 1], 0).into();
    let config = auth_service::Config {
        listen: free_port,
        ops_listen: Some(free_port),
        data_dir: dir.path().to_owned(),
        // Past the reuse grace at once, so that a spent token is caught without waiting.
        reuse_grace: std::time::Duration::ZERO,
        ..auth_service::Config::default()
    };
    let observer = Arc::new(LogObserver);
    let (auth, accounts) =
        start_auth(config, Arc::clone(&clock), observer.clone(), true).await.unwrap();
    let config = api_service::Config {
        listen: free_port,
        data_dir: dir.path().to_owned(),
        auth_url: auth.url(),
        ..api_service::Config::default()
    };
    let api = start_api(config, clock, observer, accounts.demo_user.as_deref()).await.unwrap();
    Demo { auth, api, _dir: dir }
}

/// What a tool printed, and whether it succeeded; `None` where there is no such tool.
async fn run(command: &mut Command) -> Option<(bool, String)> {
    let spawned = command.stdin(Stdio::null()).output().await;
    match spawned {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{command:?}: {error}"),
    }
}

fn missing(tool: &str) {
    assert!(env::var_os("EVERGREEN_REQUIRE_FOREIGN_CLIENTS").is_none(), "{tool} is required here");
    eprintln!("skipped: {tool} is not installed");
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign").join(name)
}

fn protos() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")
}

async fn has(tool: &str, arguments: &[&str]) -> bool {
    matches!(run(Command::new(tool).args(arguments)).await, Some((true, _)))
}

#[tokio::test(flavor = "multi_thread")]
async fn python_with_stubs_from_the_protos_alone() {
    let python = env::var("EVERGREEN_PYTHON").unwrap_or_else(|_| "python3".into());
    if !has(&python, &["-c", "import grpc, grpc_tools"]).await {
        return missing("python3 with grpcio and grpcio-tools");
    }
    let demo = demo().await;
    let addresses = [demo.auth.address.to_string(), demo.api.address.to_string()];
    let mut command = Command::new(python);
    command.arg(script("client.py")).arg(protos()).args(addresses);
    let (ok, text) = run(&mut command).await.unwrap();
    assert!(ok && text.contains("python: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_verifies_by_the_keys_published_over_http() {
    let python = env::var("EVERGREEN_PYTHON").unwrap_or_else(|_| "python3".into());
    if !has(&python, &["-c", "import cryptography, jwt"]).await {
        return missing("python3 with PyJWT and cryptography");
    }
    let demo = demo().await;
    let login = LoginRequest {
        username: DEMO_USER.into(),
        password: DEMO_PASSWORD.into(),
        ..LoginRequest::default()
    };
    let answer = auth_client_of(&demo.auth).login(login).await.unwrap().into_inner();
    let url = format!("http://{}/.well-known/jwks.json", demo.auth.operations.unwrap());
    let mut command = Command::new(python);
    // No proxy of the environment stands between two programs of one machine.
    command.env("no_proxy", "*").arg(script("verifier.py"));
    command.args([url, answer.tokens.unwrap().access_token]);
    let (ok, text) = run(&mut command).await.unwrap();
    assert!(ok && text.contains("verifier: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_with_stubs_from_the_protos_alone() {
    if !has("node", &["-e", "require('@grpc/grpc-js'); require('@grpc/proto-loader')"]).await {
        return missing("node with @grpc/grpc-js and @grpc/proto-loader");
    }
    let demo = demo().await;
    let addresses = [demo.auth.address.to_string(), demo.api.address.to_string()];
    let mut command = Command::new("node");
    command.arg(script("client.cjs")).arg(protos()).args(addresses);
    let (ok, text) = run(&mut command).await.unwrap();
    assert!(ok && text.contains("node: "), "{text}");
}

/// A call by reflection: the words before the address differ from tool to tool.
async fn reflected(
    tool: &str,
    options: &[impl AsRef<OsStr>],
    target: &[String],
) -> Option<(bool, String)> {
    run(Command::new(tool).args(options).args(target)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcurl_by_reflection_sees_a_spent_token_caught() {
    if !has("grpcurl", &["-version"]).await {
        return missing("grpcurl");
    }
    let demo = demo().await;
    let auth = |rpc: &str| {
        vec![demo.auth.address.to_string(), format!("evergreen.auth.v1.AuthService/{rpc}")]
    };
    let call = async |options: &[&str], target: &[String]| {
        let options = [&["-plaintext", "-format-error"], options].concat();
        reflected("grpcurl", &options, target).await.unwrap()
    };
    let credentials = format!(r#"{{"username":"{DEMO_USER}","password":"{DEMO_PASSWORD}"}}"#);
    let (ok, text) = call(&["-d", &credentials], &auth("Login")).await;
    assert!(ok, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let bearer = |token: &Value| format!("authorization: Bearer {}", token.as_str().unwrap());
    let access = bearer(&answer["tokens"]["accessToken"]);
    let spent = bearer(&answer["tokens"]["refreshToken"]);

    let list = [demo.api.address.to_string(), "evergreen.api.v1.ApiService/ListTrees".to_owned()];
    let (ok, text) = call(&["-H", &access], &list).await;
    assert!(ok && text.contains("treeId"), "{text}");

    let (ok, text) = call(&["-H", &spent], &auth("Refresh")).await;
    assert!(ok, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let newest = bearer(&answer["tokens"]["refreshToken"]);
    let (ok, text) = call(&["-H", &spent], &auth("Refresh")).await;
    assert!(!ok && text.contains("REFRESH_TOKEN_REUSED"), "{text}");
    let (ok, text) = call(&["-H", &newest], &auth("Refresh")).await;
    assert!(!ok && text.contains("SESSION_REVOKED"), "{text}");

    for address in [&demo.auth.address, &demo.api.address] {
        let health = [address.to_string(), "grpc.health.v1.Health/Check".to_owned()];
        let (ok, text) = call(&[], &health).await;
        assert!(ok && text.contains("SERVING"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpcurl_is_served_with_its_certificate_and_not_without() {
    if !has("grpcurl", &["-version"]).await {
        return missing("grpcurl");
    }
    let services = Encrypted::start(ClientAuth::Required, |_| {}).await;
    let me = services.authority.client("me");
    let target = [
        services.world.auth.address.to_string(),
        "evergreen.auth.v1.AuthService/GetJwks".to_owned(),
    ];
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let trusting = ["-cacert".to_owned(), text(services.authority.file())];
    // It tries again and again, and tells of the last time at most.
    let impatient = [&["-connect-timeout".to_owned(), "2".to_owned()], &trusting[..]].concat();
    let (ok, said) = reflected("grpcurl", &impatient, &target).await.unwrap();
    assert!(!ok && said.contains("Failed to dial"), "{said}");
    assert_eq!(services.world.auth_seen.count("GetJwks", Code::Ok), 0);
    let shown = ["-cert".to_owned(), text(&me.certificate), "-key".to_owned(), text(&me.key)];
    let options = [&trusting[..], &shown].concat();
    let (ok, said) = reflected("grpcurl", &options, &target).await.unwrap();
    assert!(ok && said.contains(r#""kty": "OKP""#), "{said}");
    assert_eq!(services.world.auth_seen.count("GetJwks", Code::Ok), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn buf_curl_by_reflection_logs_in_and_lists() {
    if !has("buf", &["--version"]).await {
        return missing("buf");
    }
    let demo = demo().await;
    let call = async |options: &[&str], url: String| {
        let options =
            [&["curl", "--protocol", "grpc", "--http2-prior-knowledge"], options].concat();
        reflected("buf", &options, &[url]).await.unwrap()
    };
    let credentials = format!(r#"{{"username":"{DEMO_USER}","password":"{DEMO_PASSWORD}"}}"#);
    let login = format!("{}/evergreen.auth.v1.AuthService/Login", demo.auth.url());
    let (ok, text) = call(&["--data", &credentials], login).await;
    assert!(ok, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let access =
        format!("authorization: Bearer {}", answer["tokens"]["accessToken"].as_str().unwrap());
    let list = format!("{}/evergreen.api.v1.ApiService/ListTrees", demo.api.url());
    let (ok, text) = call(&["--header", &access], list).await;
    assert!(ok && text.contains("treeId"), "{text}");
}
