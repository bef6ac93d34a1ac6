//! TLS on both services, in the SDK, and in the real program.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{sync::Arc, time::Duration};

use cli::lab::{Running, start_auth};
use client_sdk::Session;
use evergreen_proto::{
    api::v1::{
        CreateTreeRequest, ListCategoriesRequest, ListFoldersRequest, ListTreesRequest, Tree,
        WatchChangesRequest, api_service_client::ApiServiceClient,
    },
    auth::v1::{GetJwksRequest, LogoutRequest},
};
use private_authority::{Authority, Signed, now_for};
use tests::{
    PASSWORD, auth_client_of, bearing,
    encrypted::{Encrypted, endpoint},
    process::AuthProgram,
    reason,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tonic::{Code, Status, transport::Endpoint};
use tower::Layer as _;
use transport::{
    observe::LogObserver,
    tls::{ClientAuth, Distrust, Renewed as _},
};

async fn asked(endpoint: Endpoint) -> Result<(), Status> {
    let mut client = evergreen_proto::auth::v1::auth_service_client::AuthServiceClient::new(
        endpoint.connect_lazy(),
    );
    client.get_jwks(GetJwksRequest {}).await.map(drop)
}

#[tokio::test]
async fn the_sdk_refreshes_once_over_mutual_tls() {
    let services = Encrypted::start(ClientAuth::Required, |_| {}).await;
    let world = &services.world;
    let me = services.authority.client("me");
    services.register("ada", Some(&me)).await;
    let session = Session::builder(services.auth(Some(&me)))
        .clock(world.clock.clone())
        .proactive(false)
        .connect()
        .await
        .unwrap();
    session.login("ada", PASSWORD).await.unwrap();
    let channel = session.layer().layer(services.api(Some(&me)).connect_lazy());
    let api = ApiServiceClient::new(channel);
    let three_at_once = async || {
        let (mut trees, mut folders, mut categories) = (api.clone(), api.clone(), api.clone());
        tokio::try_join!(
            async { trees.list_trees(ListTreesRequest::default()).await.map(drop) },
            async { folders.list_folders(ListFoldersRequest::default()).await.map(drop) },
            async { categories.list_categories(ListCategoriesRequest::default()).await.map(drop) },
        )
    };
    three_at_once().await.unwrap();
    world.access_tokens_run_out();
    three_at_once().await.unwrap();
    assert_eq!(world.auth_seen.count("Refresh", Code::Ok), 1);
    assert_eq!(world.api_seen.count("ListTrees", Code::Unauthenticated), 1);
}

/// It hears of it by a stream over mutual TLS.
#[tokio::test]
async fn api_service_hears_of_revocations_over_mutual_tls() {
    let services = Encrypted::start(ClientAuth::Required, |_| {}).await;
    let me = services.authority.client("me");
    let ada = services.register("ada", Some(&me)).await;
    let mut api = services.api_client(Some(&me));
    let mut list = async || {
        api.list_trees(bearing(&ada.access_token, ListTreesRequest::default())).await.map(drop)
    };
    list().await.unwrap();
    let logout = bearing(&ada.access_token, LogoutRequest {});
    services.auth_client(Some(&me)).logout(logout).await.unwrap();
    let refused = async {
        loop {
            match list().await {
                Ok(()) => {}
                refused => return reason(refused),
            }
        }
    };
    let refused = timeout(Duration::from_secs(10), refused).await;
    assert_eq!(refused.expect("it is refused"), "SESSION_REVOKED");
}

#[tokio::test]
async fn nobody_is_served_who_is_not_trusted() {
    let services = Encrypted::start(ClientAuth::Required, |_| {}).await;
    let (auth, authority) = (&services.world.auth, &services.authority);
    let cause = async |endpoint| Distrust::cause_of(&asked(endpoint).await.unwrap_err());
    let stranger = Authority::new();
    let (known, unknown) = (authority.client("known"), stranger.client("unknown"));
    asked(services.auth(Some(&known))).await.unwrap();
    // Why is heard if the connection lives until the call is sent: what the server answered, below,
    // tells for certain.
    asked(services.auth(None)).await.unwrap_err();
    asked(services.auth(Some(&unknown))).await.unwrap_err();
    let day = Duration::from_secs(86_400);
    let brief = authority.client_for("brief", &now_for(day));
    asked(services.auth(Some(&brief))).await.unwrap();
    // On the server's clock.
    services.world.clock.advance(2 * day);
    asked(services.auth(Some(&brief))).await.unwrap_err();
    let untrusted = endpoint(auth.address, &stranger, Some(&known));
    assert_eq!(cause(untrusted).await, Some(Distrust::Untrusted));
    assert!(auth_client_of(auth).get_jwks(GetJwksRequest {}).await.is_err(), "plaintext");
    assert_eq!(services.world.auth_seen.count("GetJwks", Code::Ok), 2);
}

/// What the server shows to a new connection.
async fn shown(service: &Running, authority: &Authority) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.file()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(service.address).await.unwrap();
    let name = ServerName::from(service.address.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_stream_outlives_the_certificate_that_it_began_with() {
    let services = Encrypted::start(ClientAuth::Optional, |_| {}).await;
    let (api, authority) = (&services.world.api, &services.authority);
    let ada = services.register("ada", None).await;
    let mut client = services.api_client(None);
    let watch = bearing(&ada.access_token, WatchChangesRequest::default());
    let mut changes = client.watch_changes(watch).await.unwrap().into_inner();
    let before = shown(api, authority).await;
    let renewed = authority.server("api");
    assert_eq!(api.tls.as_ref().unwrap().read_again(true), Ok(true));
    assert_ne!(before, renewed.der);
    assert_eq!(shown(api, authority).await, renewed.der);

    let title = "after the renewal";
    let tree = Tree { title: title.into(), ..Tree::default() };
    let create = bearing(&ada.access_token, CreateTreeRequest { tree: Some(tree) });
    // Of another connection, which begins with the new certificate.
    services.api_client(None).create_tree(create).await.unwrap();
    let told = async {
        loop {
            let change = changes.message().await.unwrap().expect("the stream goes on");
            if format!("{change:?}").contains("Created") {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), told).await.expect("the change is told");
}

#[tokio::test]
async fn a_start_without_a_sound_certificate_names_the_setting_and_the_mend() {
    let authority = Authority::new();
    let refused = async |signed: Signed, key: Signed| {
        let dir = tempfile::tempdir().unwrap();
        let config = auth_service::Config {
            listen: ([0, 0, 0, 0], 0).into(),
            data_dir: dir.path().to_owned(),
            tls_cert: Some(signed.certificate),
            tls_key: Some(key.key),
            ..auth_service::Config::default()
        };
        let clock = Arc::new(token::clock::SystemClock::new());
        let started = start_auth(config, clock, Arc::new(LogObserver), false).await;
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing was made");
        started.map(drop).unwrap_err().to_string()
    };
    let (one, other) = (authority.server("one"), authority.server("other"));
    let mismatch = refused(one, other).await;
    assert!(mismatch.starts_with("--tls-key: ") && mismatch.contains("does not fit"), "{mismatch}");
    let old = Duration::from_secs(1)..Duration::from_secs(2);
    let old = authority.server_of("old", ["localhost"], &old);
    let expired = refused(old.clone(), old).await;
    assert!(expired.starts_with("--tls-cert: ") && expired.contains("renew it"), "{expired}");
}

/// Beyond loopback, and without `--insecure`.
#[tokio::test]
async fn the_program_serves_tls_to_other_machines() {
    let authority = Authority::new();
    let server = authority.server("auth");
    let dir = tempfile::tempdir().unwrap();
    let program = AuthProgram::in_dir(dir.path())
        .await
        .with("--tls-cert", server.certificate.to_str())
        .with("--tls-key", server.key.to_str())
        .with("--tls-client-ca", authority.file().to_str())
        .everywhere();
    let process = program.start().await;
    let me = authority.client("me");
    let endpoint = |shown| endpoint(program.address, &authority, shown);
    asked(endpoint(Some(&me))).await.unwrap();
    assert!(asked(endpoint(None)).await.is_err());
    process.kill().await;
}
