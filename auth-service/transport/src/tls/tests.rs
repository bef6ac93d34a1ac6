//! A server's certificate, its handshakes, and what a client makes of them.

use std::{
    fs, io, os::unix::fs::PermissionsExt as _, path::Path, pin::pin, sync::Arc, time::Duration,
};

use private_authority::{Authority, Signed, now_for};
use token::clock::{Clock, ManualClock, SystemClock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    net::TcpListener,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_rustls::{
    TlsConnector, client,
    rustls::{
        ClientConfig, HandshakeKind, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        version::{TLS12, TLS13},
    },
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use super::{handshakes::MOST, *};
use crate::{
    config::ConfigError,
    doctor::{self, Listening, Verdict},
};

mod renewed_client;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock::new().now()))
}

fn files(signed: &Signed, ca: Option<&Path>, auth: ClientAuth) -> TlsFiles {
    let files = TlsFiles::given(Some(&signed.certificate), Some(&signed.key), ca, auth);
    files.unwrap().unwrap()
}

fn open(signed: &Signed) -> Result<Tls, ConfigError> {
    Tls::open(files(signed, None, ClientAuth::Required), clock())
}

type Incoming = ReceiverStream<io::Result<DuplexStream>>;

/// Connections to a server, which are given to it one by one.
struct Wire {
    connect: mpsc::Sender<io::Result<DuplexStream>>,
}

impl Wire {
    fn to(tls: &Tls) -> (Self, Handshakes<Incoming, DuplexStream>) {
        let (connect, incoming) = mpsc::channel(2 * MOST);
        (Self { connect }, tls.accept(ReceiverStream::new(incoming)))
    }

    async fn connect(&self) -> DuplexStream {
        let (here, there) = duplex(64 * 1024);
        self.connect.send(Ok(there)).await.unwrap();
        here
    }

    /// Shakes hands as a client that trusts `authority`.
    async fn shake(&self, authority: &Authority, shown: Option<&Signed>) -> io::Result<Client> {
        let name = ServerName::try_from("localhost").unwrap();
        client(authority, shown).connect(name, self.connect().await).await
    }
}

type Client = client::TlsStream<DuplexStream>;

fn client(authority: &Authority, shown: Option<&Signed>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.file()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(signed) => {
            let chain = vec![CertificateDer::from(signed.der.clone())];
            let key = PrivateKeyDer::from_pem_file(&signed.key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![HTTP2.to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// What the server of `client` has shown.
fn shown(client: &Client) -> Vec<u8> {
    client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn what_cannot_be_used_is_named_with_its_setting_and_its_mend() {
    let authority = Authority::new();
    let (good, other) = (authority.server("good"), authority.server("other"));
    let refused = |certificate: &Path, key: &Path, ca: Option<&Path>| {
        let files = TlsFiles::given(Some(certificate), Some(key), ca, ClientAuth::Required);
        Tls::open(files.unwrap().unwrap(), clock()).unwrap_err().to_string()
    };
    let absent = authority.path("absent.pem");
    let empty = authority.path("empty.pem");
    fs::write(&empty, "nothing\n").unwrap();
    let damaged = authority.path("damaged.pem");
    fs::write(&damaged, "-----BEGIN CERTIFICATE-----\n~~~\n-----END CERTIFICATE-----\n").unwrap();
    let old = Duration::from_secs(1)..Duration::from_secs(2_000_000);
    let expired = authority.server_of("expired", ["localhost"], &old);
    let soon = now_for(Duration::from_secs(86_400 * 9)).end;
    let early = authority.server_of("early", ["localhost"], &(soon..soon + Duration::from_secs(9)));
    for (message, setting, mend) in [
        (refused(&absent, &good.key, None), "--tls-cert: ", "check that the file is there"),
        (refused(&empty, &good.key, None), "--tls-cert: ", "BEGIN CERTIFICATE"),
        (refused(&damaged, &good.key, None), "--tls-cert: ", "it is damaged"),
        (
            refused(&expired.certificate, &expired.key, None),
            "--tls-cert: ",
            "expired at 1970-01-24",
        ),
        (refused(&early.certificate, &early.key, None), "--tls-cert: ", "good only from "),
        (refused(&good.certificate, &absent, None), "--tls-key: ", "check that the file is there"),
        (refused(&good.certificate, &empty, None), "--tls-key: ", "BEGIN PRIVATE KEY"),
        (refused(&good.certificate, &other.key, None), "--tls-key: ", "does not fit"),
        (refused(&good.certificate, &good.key, Some(&empty)), "--tls-client-ca: ", "BEGIN CERT"),
    ] {
        assert!(message.starts_with(setting) && message.contains(mend), "{message}");
        assert!(message.contains(authority.path("").to_str().unwrap()), "{message}");
    }
    assert!(open(&good).is_ok());
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_a_bad_one_for_none() {
    let authority = Authority::new();
    let first = authority.server("server");
    let tls = open(&first).unwrap();
    let (wire, mut served) = Wire::to(&tls);
    let (old, at_server) = tokio::join!(wire.shake(&authority, None), served.next());
    let (mut old, mut at_server) = (old.unwrap(), at_server.unwrap().unwrap());
    assert_eq!(shown(&old), first.der);
    assert_eq!(tls.read_again(true), Ok(false));

    // The certificate came, and its key not yet.
    let key = fs::read(&first.key).unwrap();
    let second = authority.server("server");
    let new_key = fs::read(&second.key).unwrap();
    fs::write(&second.key, &key).unwrap();
    let refused = tls.read_again(true).unwrap_err();
    assert_eq!(refused.setting, "--tls-key");
    let (during, _) = tokio::join!(wire.shake(&authority, None), served.next());
    assert_eq!(shown(&during.unwrap()), first.der);

    fs::write(&second.key, new_key).unwrap();
    assert_eq!(tls.read_again(true), Ok(true));
    let (new, _) = tokio::join!(wire.shake(&authority, None), served.next());
    assert_eq!(shown(&new.unwrap()), second.der);
    // The connection that was there before has noticed nothing.
    at_server.write_all(b"still here").await.unwrap();
    at_server.flush().await.unwrap();
    let mut heard = [0; 10];
    old.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_noticed_without_a_word() {
    let authority = Authority::new();
    let tls = open(&authority.server("server")).unwrap();
    let before = tls.not_after();
    let long = now_for(Duration::from_secs(700 * 86_400));
    authority.server_of("server", ["localhost"], &long);
    let mut keeping = pin!(keep_current(Some(&tls), Duration::from_secs(10)));
    assert!(timeout(Duration::from_secs(9), &mut keeping).await.is_err());
    assert_eq!(tls.not_after(), before);
    // Time stands still while the files are read.
    assert!(timeout(Duration::from_secs(2), &mut keeping).await.is_err());
    assert_eq!(tls.not_after().unix_seconds().unsigned_abs(), long.end.as_secs());
}

#[tokio::test]
async fn clients_are_judged_where_some_are_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = authority.server("server");
    let known = authority.client("known");
    let unknown = stranger.client("unknown");
    let old = Duration::from_secs(1)..Duration::from_secs(2_000_000);
    let expired = authority.client_for("expired", &old);
    let a_server = authority.server("another");
    for (auth, without) in [(ClientAuth::Required, false), (ClientAuth::Optional, true)] {
        let tls = Tls::open(files(&server, Some(authority.file()), auth), clock()).unwrap();
        let (wire, mut served) = Wire::to(&tls);
        // Whom the server lets in is what it serves: a client hears of a refusal later (TLS 1.3).
        let mut admitted = async |shown| {
            let shake = async {
                let mut client = wire.shake(&authority, shown).await?;
                client.read_u8().await.map(drop)
            };
            let serve = async {
                let mut at_server = served.next().await.unwrap().unwrap();
                let shown = at_server.get_ref().1.peer_certificates().map(|all| all[0].to_vec());
                at_server.write_u8(1).await.unwrap();
                at_server.flush().await.unwrap();
                shown
            };
            tokio::pin!(serve);
            tokio::select! {
                shown = &mut serve => Ok(shown),
                Err(error) = shake => Err(Distrust::cause_of(&error)),
            }
        };
        let refused = Err(Some(Distrust::Refused));
        assert_eq!(admitted(Some(&known)).await, Ok(Some(known.der.clone())));
        assert_eq!(admitted(Some(&unknown)).await, refused);
        assert_eq!(admitted(Some(&expired)).await, refused);
        assert_eq!(admitted(Some(&a_server)).await, refused, "it is for servers");
        assert_eq!(admitted(None).await, if without { Ok(None) } else { refused });
    }
}

/// A resumed session would bring along a certificate that was judged long ago.
#[tokio::test]
async fn where_clients_are_judged_each_connection_is_a_whole_handshake() {
    let authority = Authority::new();
    let (server, me) = (authority.server("server"), authority.client("me"));
    for (ca, second) in
        [(Some(authority.file()), HandshakeKind::Full), (None, HandshakeKind::Resumed)]
    {
        let tls = Tls::open(files(&server, ca, ClientAuth::Required), clock()).unwrap();
        let (wire, mut served) = Wire::to(&tls);
        // Both connections know what the first was told.
        let connector = client(&authority, Some(&me));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let name = ServerName::try_from("localhost").unwrap();
            let connecting = async { connector.connect(name, wire.connect().await).await };
            let (at_client, at_server) = tokio::join!(connecting, served.next());
            let (mut at_client, mut at_server) = (at_client.unwrap(), at_server.unwrap().unwrap());
            at_server.write_u8(1).await.unwrap();
            at_server.flush().await.unwrap();
            at_client.read_u8().await.unwrap();
            kinds.push(at_client.get_ref().1.handshake_kind());
        }
        assert_eq!(kinds, [Some(HandshakeKind::Full), Some(second)]);
    }
}

#[tokio::test]
async fn a_client_is_told_what_is_wrong_with_a_server() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cause = async |server: &Signed, trusted: &Authority| {
        let (wire, mut served) = Wire::to(&open(server).unwrap());
        let serving = async {
            loop {
                let _ = served.next().await;
            }
        };
        tokio::select! {
            shaken = wire.shake(trusted, None) => {
                shaken.err().and_then(|error| Distrust::cause_of(&error))
            }
            () = serving => unreachable!("it goes on for as long as it is polled"),
        }
    };
    let minute = now_for(Duration::from_secs(60));
    let elsewhere = authority.server_of("elsewhere", ["elsewhere"], &minute);
    let server = authority.server("server");
    assert_eq!(cause(&server, &authority).await, None);
    assert_eq!(cause(&server, &stranger).await, Some(Distrust::Untrusted));
    assert_eq!(cause(&elsewhere, &authority).await, Some(Distrust::WrongName));
}

#[tokio::test(start_paused = true)]
async fn clients_that_say_nothing_keep_nobody_out() {
    let authority = Authority::new();
    let tls = open(&authority.server("server")).unwrap();
    let (wire, mut served) = Wire::to(&tls);
    let mut silent = Vec::new();
    for _ in 0..MOST {
        silent.push(wire.connect().await);
    }
    let started = Instant::now();
    let (client, at_server) = tokio::join!(wire.shake(&authority, None), served.next());
    assert!(client.is_ok() && at_server.is_some_and(|served| served.is_ok()));
    assert_eq!(started.elapsed(), Duration::ZERO, "it waits for none of them");
    // The oldest made room; the others have their time, and no more.
    assert_eq!(silent[0].read(&mut [0]).await.unwrap(), 0);
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(silent[1].read(&mut [0]).await.unwrap(), 0);
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_doctor_judges_the_files_and_knows_its_own_service_by_them() {
    let authority = Authority::new();
    let server = authority.server("server");
    let files = files(&server, Some(authority.file()), ClientAuth::Required);
    let verdicts = |now| {
        let checks = doctor::certificate(&files, now);
        checks.iter().map(doctor::Check::verdict).collect::<Vec<_>>()
    };
    let (now, day) = (SystemClock::new().now(), Duration::from_secs(86_400));
    assert_eq!(verdicts(now), [Verdict::Ok, Verdict::Ok]);
    assert_eq!(verdicts(now + day * 352), [Verdict::Warn, Verdict::Ok]);
    assert_eq!(verdicts(now + day * 365), [Verdict::Fail, Verdict::Ok]);
    fs::set_permissions(&server.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(verdicts(now), [Verdict::Ok, Verdict::Fail]);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = |files| {
        let (name, setting, service) = ("port", "--listen", "pkg.Service");
        doctor::listening(Listening {
            name,
            setting,
            address,
            insecure: false,
            tls: files,
            service,
        })
    };
    let tls = Tls::open(files.clone(), clock()).unwrap();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let served = tokio::spawn(async move {
        let mut served = tls.accept(incoming);
        while served.next().await.is_some() {}
    });
    assert!(port(Some(&files)).await.1, "it answers already");
    let another = authority.server("another");
    let another =
        TlsFiles::given(Some(&another.certificate), Some(&another.key), None, ClientAuth::Required);
    let (check, is_running) = port(another.unwrap().as_ref()).await;
    assert!(!is_running && check.verdict() == Verdict::Fail, "{check:?}");
    served.abort();
}
