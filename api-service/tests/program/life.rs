//! What a service that runs reads again when it is told to.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    time::Duration,
};

use private_authority::{Authority, Signed};

use crate::harness::place;

/// A process that is killed if it goes before it has ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn certificates_are_read_again_when_it_is_told_to() {
    let (place, authority) = (place(), Authority::new());
    let socket = place.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut buffer = [0; 512];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let log = place.path("log");
    let (server, shown) = (authority.server("server"), authority.client("shown"));
    let files = |cert, key, signed: &Signed| {
        let (certificate, private) = (signed.certificate.display(), signed.key.display());
        [format!("--{cert}={certificate}"), format!("--{key}={private}")]
    };
    let child = place
        .program(&["serve", "--listen=127.0.0.1:0", "--data-dir=data"])
        // Where nobody listens: it is ready without.
        .args(["--auth-url=https://127.0.0.1:1", "--auth-ca"])
        .arg(authority.file())
        .args(files("tls-cert", "tls-key", &server))
        .args(files("auth-client-cert", "auth-client-key", &shown))
        .env("NOTIFY_SOCKET", &socket)
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("ApiService is ready on "), "{line}");
    assert!(told().starts_with("READY=1\n"));

    // Sooner than it looks by itself: it says that it is ready when it has read them.
    authority.server("server");
    authority.client("shown");
    let done = Command::new("kill").args(["-HUP", &running.0.id().to_string()]).status();
    assert!(done.unwrap().success());
    assert!(told().starts_with("RELOADING=1\n"));
    assert!(told().starts_with("READY=1\n"));
    let log = fs::read_to_string(&log).unwrap();
    for setting in ["--tls-cert", "--auth-client-cert"] {
        assert!(log.contains(&format!("{setting}: the certificate was replaced")), "{log}");
    }
}
