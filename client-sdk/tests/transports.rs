//! The layer over real channels: encrypted ones, and ones that are many.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

mod common;

use std::{net::SocketAddr, time::Duration};

use client_sdk::{Session, testing::ScriptedRefresher};
use common::{Server, request, signed_in, status_of};
use rcgen::CertifiedKey;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code,
    body::Body,
    codegen::Service,
    server::NamedService,
    transport::{self, Certificate, Channel, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig},
};
use tower::{ServiceBuilder, ServiceExt as _};

/// The scripted server as a service of a real one.
#[derive(Clone)]
struct Named(Server);

impl NamedService for Named {
    const NAME: &'static str = "p.S";
}

impl Service<http::Request<Body>> for Named {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = <Server as Service<http::Request<Body>>>::Future;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

/// Serves on a free port until the test ends.
async fn serve(server: &Server, tls: Option<ServerTlsConfig>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut builder = transport::Server::builder();
    if let Some(tls) = tls {
        builder = builder.tls_config(tls).unwrap();
    }
    let router = builder.add_service(Named(server.clone()));
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// Sends a hundred calls at once, and expects each to succeed.
async fn a_hundred_calls(session: &Session, channel: Channel) {
    let service = ServiceBuilder::new().layer(session.layer()).service(channel);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let request = request("http://p/p.S/M", common::body_of(&[b"\0\0\0\0\0"]));
            tokio::spawn(service.clone().oneshot(request))
        })
        .collect();
    for call in calls {
        assert_eq!(status_of(call.await.unwrap().unwrap()).await.code(), Code::Ok);
    }
}

#[tokio::test]
async fn over_tls_a_hundred_refused_calls_make_one_refresh() {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity::from_pem(cert.pem(), signing_key.serialize_pem());
    let server = Server::refusing("access-0");
    let address = serve(&server, Some(ServerTlsConfig::new().identity(identity))).await;

    let trust = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(cert.pem()))
        .domain_name("localhost");
    let channel = Endpoint::from_shared(format!("https://{address}"))
        .unwrap()
        .tls_config(trust)
        .unwrap()
        .connect_lazy();
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    a_hundred_calls(&session, channel).await;
    assert_eq!(refresher.count(), 1);
    assert!(server.count() <= 200);
}

// A replay may go to another server than the first attempt.
#[tokio::test]
async fn over_a_balanced_channel_a_hundred_refused_calls_make_one_refresh() {
    let servers = [Server::refusing("access-0"), Server::refusing("access-0")];
    let mut endpoints = Vec::new();
    for server in &servers {
        let address = serve(server, None).await;
        endpoints.push(Endpoint::from_shared(format!("http://{address}")).unwrap());
    }
    let channel = Channel::balance_list(endpoints.into_iter());
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    a_hundred_calls(&session, channel).await;
    assert_eq!(refresher.count(), 1);
    assert!(servers.iter().all(|server| server.count() > 0), "both are used");
}

// A connection may carry fewer streams than there are calls: a replay must not wait for a stream
// that its own first attempt still holds.
#[tokio::test]
async fn over_a_connection_of_one_stream_refused_calls_are_replayed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::refusing("access-0");
    let router =
        transport::Server::builder().max_concurrent_streams(1).add_service(Named(server.clone()));
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let hurry = tokio::time::timeout(Duration::from_secs(30), a_hundred_calls(&session, channel));
    hurry.await.expect("nothing waits for itself");
    assert_eq!(refresher.count(), 1);
}
