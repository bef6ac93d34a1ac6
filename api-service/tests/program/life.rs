//! What a service that runs reads again when it is told to.

use private_authority::{Authority, Signed};

use crate::harness::place;

#[test]
fn certificates_are_read_again_when_it_is_told_to() {
    let (place, authority) = (place(), Authority::new());
    let (server, shown) = (authority.server("server"), authority.client("shown"));
    let files = |cert, key, signed: &Signed| {
        let (certificate, private) = (signed.certificate.display(), signed.key.display());
        [format!("--{cert}={certificate}"), format!("--{key}={private}")]
    };
    let [cert, key] = files("tls-cert", "tls-key", &server);
    let [auth_cert, auth_key] = files("auth-client-cert", "auth-client-key", &shown);
    let auth_ca = format!("--auth-ca={}", authority.file().display());
    // AuthService is where nobody listens: this is ready without.
    let auth_url = "--auth-url=https://127.0.0.1:1";
    let service = place.manage(&[auth_url, &auth_ca, &cert, &key, &auth_cert, &auth_key]);

    // Sooner than it looks by itself: it says that it is ready when it has read them.
    authority.server("server");
    authority.client("shown");
    let log = service.reloaded();
    for setting in ["--tls-cert", "--auth-client-cert"] {
        assert!(log.contains(&format!("{setting}: the certificate was replaced")), "{log}");
    }
}
