//! A client's certificate, while it runs.

use super::*;

fn files<'a>(ca: &'a Path, shown: &'a Signed) -> ClientFiles<'a> {
    ClientFiles {
        ca: ("--ca", Some(ca)),
        certificate: ("--cert", Some(&shown.certificate)),
        key: ("--key", Some(&shown.key)),
    }
}

/// A server that asks for certificates of `authority`, at the other end of a wire.
struct Asking {
    wire: Wire,
    served: Handshakes<Incoming, DuplexStream>,
}

type Served = tokio_rustls::server::TlsStream<DuplexStream>;

impl Asking {
    fn of(authority: &Authority) -> Self {
        let server = authority.server("server");
        let files = super::files(&server, Some(authority.file()), ClientAuth::Required);
        let (wire, served) = Wire::to(&Tls::open(files, clock()).unwrap());
        Self { wire, served }
    }

    /// Both ends of a new connection of `tls`.
    async fn connect(&mut self, tls: &ClientTls) -> (Client, Served) {
        let name = ServerName::try_from("localhost").unwrap();
        let io = self.wire.connect().await;
        let (client, served) = tokio::join!(tls.connector().connect(name, io), self.served.next());
        (client.unwrap(), served.unwrap().unwrap())
    }

    /// What `tls` shows to a new connection.
    async fn shown(&mut self, tls: &ClientTls) -> Vec<u8> {
        let (_client, served) = self.connect(tls).await;
        served.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

#[tokio::test]
async fn new_connections_show_the_new_certificate_and_files_that_do_not_fit_change_nothing() {
    let authority = Authority::new();
    let first = authority.client("me");
    let tls = ClientTls::open(files(authority.file(), &first), clock()).unwrap();
    let mut server = Asking::of(&authority);
    let (mut old, mut at_server) = server.connect(&tls).await;
    assert_eq!(server.shown(&tls).await, first.der);
    assert_eq!(tls.read_again(true), Ok(false));
    let first_key = fs::read(&first.key).unwrap();

    let expired = Duration::from_secs(1)..Duration::from_secs(2_000_000);
    authority.client_for("me", &expired);
    let second = authority.client("second");
    let (certificate, key) =
        (fs::read(&second.certificate).unwrap(), fs::read(&second.key).unwrap());
    let refused = || tls.read_again(true).unwrap_err().setting;
    assert_eq!(refused(), "--cert", "it has expired");
    // The certificate came, and its key not yet.
    fs::write(&first.certificate, &certificate).unwrap();
    fs::write(&first.key, first_key).unwrap();
    assert_eq!(refused(), "--key");
    fs::write(&first.key, "").unwrap();
    assert_eq!(refused(), "--key");
    fs::remove_file(&first.certificate).unwrap();
    assert_eq!(refused(), "--cert");
    assert_eq!(server.shown(&tls).await, first.der);

    fs::write(&first.certificate, &certificate).unwrap();
    fs::write(&first.key, key).unwrap();
    assert_eq!(tls.read_again(true), Ok(true));
    assert_eq!(server.shown(&tls).await, second.der);
    // The connection that was there before has noticed nothing.
    at_server.write_all(b"still here").await.unwrap();
    at_server.flush().await.unwrap();
    let mut heard = [0; 10];
    old.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"still here");
}

/// A server that does not ask in every handshake has a client resume sessions, which would bring
/// along the certificate that they began with.
#[tokio::test]
async fn no_session_of_the_former_certificate_is_resumed() {
    let authority = Authority::new();
    let me = authority.client("me");
    let tls = ClientTls::open(files(authority.file(), &me), clock()).unwrap();
    let server = open(&authority.server("server")).unwrap();
    let (wire, mut served) = Wire::to(&server);
    let mut kind = async || {
        let name = ServerName::try_from("localhost").unwrap();
        let io = wire.connect().await;
        let (client, served) = tokio::join!(tls.connector().connect(name, io), served.next());
        let (mut client, mut served) = (client.unwrap(), served.unwrap().unwrap());
        served.write_u8(1).await.unwrap();
        served.flush().await.unwrap();
        client.read_u8().await.unwrap();
        client.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(kind().await, HandshakeKind::Full);
    assert_eq!(kind().await, HandshakeKind::Resumed);
    authority.client("me");
    assert_eq!(tls.read_again(true), Ok(true));
    assert_eq!(kind().await, HandshakeKind::Full);
}

#[tokio::test]
async fn whom_a_client_trusts_is_renewed_too() {
    let (former, next) = (Authority::new(), Authority::new());
    let (ca, me) = (former.path("trusted.pem"), next.client("me"));
    fs::copy(former.file(), &ca).unwrap();
    let tls = ClientTls::open(files(&ca, &me), clock()).unwrap();
    let mut server = Asking::of(&next);
    let name = ServerName::try_from("localhost").unwrap();
    let io = server.wire.connect().await;
    let refused = tokio::select! {
        shaken = tls.connector().connect(name, io) => shaken.unwrap_err(),
        _ = server.served.next() => unreachable!("the client does not trust it"),
    };
    assert_eq!(Distrust::cause_of(&refused), Some(Distrust::Untrusted));
    fs::copy(next.file(), &ca).unwrap();
    assert_eq!(tls.read_again(true), Ok(true));
    assert_eq!(server.shown(&tls).await, me.der);
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_noticed_without_a_word() {
    let authority = Authority::new();
    let me = authority.client("me");
    let tls = ClientTls::open(files(authority.file(), &me), clock()).unwrap();
    let long = now_for(Duration::from_secs(700 * 86_400));
    authority.client_for("me", &long);
    let before = tls.not_after();
    let mut keeping = pin!(keep_current(Some(&tls), Duration::from_secs(10)));
    assert!(timeout(Duration::from_secs(9), &mut keeping).await.is_err());
    assert_eq!(tls.not_after(), before);
    // Time stands still while the files are read.
    assert!(timeout(Duration::from_secs(2), &mut keeping).await.is_err());
    let after = tls.not_after().unwrap().unix_seconds().unsigned_abs();
    assert_eq!(after, long.end.as_secs());
}

#[tokio::test]
async fn a_client_begins_with_no_certificate_that_is_not_good() {
    let authority = Authority::new();
    let refused = |shown: &Signed| {
        ClientTls::open(files(authority.file(), shown), clock()).unwrap_err().to_string()
    };
    let old = authority.client_for("old", &(Duration::from_secs(1)..Duration::from_secs(2)));
    let message = refused(&old);
    assert!(message.starts_with("--cert: ") && message.contains("renew it"), "{message}");
    let (one, other) = (authority.client("one"), authority.client("other"));
    let message = refused(&Signed { key: other.key, ..one });
    assert!(message.starts_with("--key: ") && message.contains("does not fit"), "{message}");
}
