//! Ports.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::Check;
use crate::{
    serve::{EXPOSED, PROTECT, protected},
    tls::{self, TlsFiles},
};

/// A port to look at.
#[derive(Clone, Copy, Debug)]
pub struct Listening<'a> {
    /// What it is called in the report.
    pub name: &'static str,
    /// The setting that names it.
    pub setting: &'static str,
    /// Where it is.
    pub address: SocketAddr,
    /// Whether plaintext is allowed on addresses that other machines can reach.
    pub insecure: bool,
    /// What it is encrypted by, if it is.
    pub tls: Option<&'a TlsFiles>,
    /// Whose health is asked for, to tell this service from another program: its full name in the
    /// contract.
    pub service: &'a str,
}

/// Whether a service can listen there, or does so already. The second is told too.
pub async fn listening(port: Listening<'_>) -> (Check, bool) {
    let Listening { name, setting, address, insecure, tls, service } = port;
    if tls.is_none() && protected(setting, address, insecure).is_err() {
        let found = format!("{address} {EXPOSED}");
        return (Check::fail(name, found, format!("{setting}: {PROTECT}")), false);
    }
    let check = match TcpListener::bind(address) {
        Ok(_) => Check::ok(name, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let answers = match tls {
                Some(files) => shows(address, files).await,
                None => serves(address, service).await,
            };
            if answers {
                return (Check::ok(name, format!("{service} answers on {address} already")), true);
            }
            let mend = format!(
                "if that is not this service, as it starts or stops, stop the program that holds it, \
                 or choose another {setting}"
            );
            let found = format!("{address} is taken, and {service} does not answer there");
            Check::fail(name, found, mend)
        }
        Err(error) => {
            let found = format!("{address} cannot be used: {error}");
            Check::fail(name, found, format!("choose another {setting}"))
        }
    };
    (check, false)
}

async fn serves(address: SocketAddr, service: &str) -> bool {
    let Ok(endpoint) = Endpoint::from_shared(format!("http://{address}")) else { return false };
    let channel = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy();
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel).check(request).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

/// Over TLS it is known by its certificate: a service that asks for one would not let the doctor in.
async fn shows(address: SocketAddr, files: &TlsFiles) -> bool {
    let Ok(certificate) = files.own() else { return false };
    tls::presents(address, certificate).await
}

const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_the_open_is_refused_as_by_serving_with_every_way_to_mend_it() {
        let port = Listening {
            name: "port",
            setting: "--listen",
            address: ([0, 0, 0, 0], 0).into(),
            insecure: false,
            tls: None,
            service: "a.Service",
        };
        let (check, is_running) = listening(port).await;
        let expected = Check::fail(
            "port",
            "0.0.0.0:0 is reachable from other machines, and all that is said there would travel \
             unencrypted",
            "--listen: listen on 127.0.0.1, serve TLS where that can be (--tls-cert), or allow it \
             with --insecure",
        );
        assert_eq!((format!("{check:?}"), is_running), (format!("{expected:?}"), false));
        let allowed = listening(Listening { insecure: true, ..port }).await.0;
        assert_eq!(allowed.verdict(), super::super::Verdict::Ok);
    }
}
