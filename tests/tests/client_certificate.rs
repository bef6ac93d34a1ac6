//! The certificate that ApiService shows to AuthService is renewed while it runs.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use evergreen_proto::{
    api::v1::ListTreesRequest,
    auth::v1::{
        GetJwksRequest, LoginRequest, LogoutRequest, TokenPair,
        auth_service_client::AuthServiceClient,
    },
};
use private_authority::{Authority, Signed, now_for};
use tests::{PASSWORD, ask, bearing, encrypted::Encrypted, reason};
use token::clock::SystemClock;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tonic::{Code, transport::Endpoint};
use transport::tls::{ClientAuth, ClientFiles, ClientTls, Distrust, Renewed as _};

/// What connections to a server go through, until they are cut.
struct Wire {
    made: Arc<AtomicUsize>,
    cut: watch::Sender<()>,
}

impl Wire {
    /// One to the server of `url`, and its own URL.
    fn to(url: &str) -> (Self, String) {
        let server: SocketAddr = url.strip_prefix("https://").unwrap().parse().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let listener = TcpListener::from_std(listener).unwrap();
        let (made, cut) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(()));
        let wire = Self { made: Arc::clone(&made), cut: cut.clone() };
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                made.fetch_add(1, Ordering::Relaxed);
                let mut cut = cut.subscribe();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        (wire, url)
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    fn cut(&self) {
        self.cut.send_replace(());
    }
}

/// What the metrics of ApiService say.
async fn metric(operations: SocketAddr, name: &str) -> String {
    let (_, metrics) = ask(operations, "/metrics").await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name}: {metrics}")).to_owned()
}

/// Logs out, and waits until ApiService refuses the token. It asks again and again: there is no event
/// for what a server does not say.
async fn revoked(services: &Encrypted, session: &TokenPair, at_auth: &Signed, at_api: &Signed) {
    let mut api = services.api_client(Some(at_api));
    let mut list = async || {
        let request = bearing(&session.access_token, ListTreesRequest::default());
        api.list_trees(request).await.map(drop)
    };
    list().await.unwrap();
    let logout = bearing(&session.access_token, LogoutRequest {});
    services.auth_client(Some(at_auth)).logout(logout).await.unwrap();
    let refused = async {
        loop {
            match list().await {
                Ok(()) => {}
                refused => return reason(refused),
            }
        }
    };
    let refused = timeout(PATIENCE, refused).await.expect("it is refused");
    assert_eq!(refused, "SESSION_REVOKED");
}

async fn is_answered(endpoint: Endpoint) -> bool {
    AuthServiceClient::new(endpoint.connect_lazy()).get_jwks(GetJwksRequest {}).await.is_ok()
}

/// Revocations are followed by a stream of the former certificate until that breaks, and then by one of
/// the new.
#[tokio::test]
async fn revocations_are_followed_by_a_certificate_that_came_while_it_ran() {
    let mut wire = None;
    // Whom AuthService lets in is a file of its own: ApiService's clients stay who they were.
    let trusted = tempfile::NamedTempFile::new().unwrap();
    let services = Encrypted::start_all(
        ClientAuth::Required,
        |auth| {
            fs::copy(auth.tls_client_ca.replace(trusted.path().to_owned()).unwrap(), &trusted)
                .unwrap();
        },
        |api| {
            let (to_auth, url) = Wire::to(&api.auth_url);
            (wire, api.auth_url) = (Some(to_auth), url);
            api.ops_listen = Some(([127, 0, 0, 1], 0).into());
        },
    )
    .await;
    let (wire, former) = (wire.unwrap(), &services.authority);
    let operations = services.world.api.operations.unwrap();
    let me = former.client("me");
    let first = services.register("ada", Some(&me)).await;
    let mut auth = services.auth_client(Some(&me));
    let mut login = async || {
        let (username, password) = ("ada".into(), PASSWORD.into());
        let request = LoginRequest { username, password, ..LoginRequest::default() };
        auth.login(request).await.unwrap().into_inner().tokens.unwrap()
    };
    let [second, third] = [login().await, login().await];
    revoked(&services, &first, &me, &me).await;
    assert_eq!(wire.made(), 3, "for its keys, its account, and revocations");

    // AuthService trusts another CA from now on, and the files of ApiService hold a certificate of it.
    let next = Authority::new();
    let shown = |name| Signed {
        certificate: former.path(&format!("{name}.pem")),
        key: former.path(&format!("{name}.key")),
        der: Vec::new(),
    };
    let before = former.client("before");
    fs::copy(shown("api-service").certificate, &before.certificate).unwrap();
    fs::copy(shown("api-service").key, &before.key).unwrap();
    fs::copy(next.file(), &trusted).unwrap();
    assert_eq!(services.world.auth.tls.as_ref().unwrap().read_again(true), Ok(true));
    let life = now_for(Duration::from_secs(700 * 86_400));
    let renewed = next.client_for("renewed", &life);
    fs::copy(&renewed.key, shown("api-service").key).unwrap();
    fs::copy(&renewed.certificate, shown("api-service").certificate).unwrap();
    assert!(!is_answered(services.auth(Some(&before))).await, "the former one is of no use");
    assert!(is_answered(services.auth(Some(&renewed))).await);
    let noticed = async {
        let name = "evergreen_api_client_certificate_expiry_timestamp_seconds";
        while metric(operations, name).await != life.end.as_secs().to_string() {}
    };
    timeout(PATIENCE, noticed).await.expect("it looks at the files");

    let me_at_auth = next.client("me");
    revoked(&services, &second, &me_at_auth, &me).await;
    assert_eq!(wire.made(), 3, "the stream that was there goes on");
    wire.cut();
    revoked(&services, &third, &me_at_auth, &me).await;
    assert_eq!(wire.made(), 4, "and another one follows it");
}

#[tokio::test]
async fn a_channel_of_renewed_files_tells_what_is_wrong_with_a_server() {
    let services = Encrypted::start(ClientAuth::Required, |_| {}).await;
    let (known, stranger) = (services.authority.client("known"), Authority::new());
    let ask = async |ca: &Path, shown: &Signed| {
        let files = ClientFiles {
            ca: ("--ca", Some(ca)),
            certificate: ("--cert", Some(&shown.certificate)),
            key: ("--key", Some(&shown.key)),
        };
        let tls = ClientTls::open(files, Arc::new(SystemClock::new())).unwrap();
        let endpoint = Endpoint::from_shared(services.world.auth.url()).unwrap();
        let mut client = AuthServiceClient::new(tls.connect_lazy(endpoint));
        client.get_jwks(GetJwksRequest {}).await.map(drop)
    };
    let ca = services.authority.file();
    ask(ca, &known).await.unwrap();
    let untrusted = ask(stranger.file(), &known).await.unwrap_err();
    assert_eq!(untrusted.code(), Code::Unavailable);
    assert_eq!(Distrust::cause_of(&untrusted), Some(Distrust::Untrusted));
    ask(ca, &stranger.client("unknown")).await.unwrap_err();
    assert_eq!(services.world.auth_seen.count("GetJwks", Code::Ok), 1);
}

/// Longer than the time between two looks at the files.
const PATIENCE: Duration = Duration::from_secs(60);
