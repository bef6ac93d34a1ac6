//! A tonic service that knows who calls it.
//!
//! Start AuthService, then `cargo run --example guarded_service --features guard`, and call it with
//! an access token:
//!
//! ```text
//! grpcurl -plaintext -H "authorization: Bearer $TOKEN" -proto greeter.proto 127.0.0.1:50060 example.v1.GreeterService/Greet
//! ```
//!
//! An argument names another address to listen on, `AUTH_URL` another AuthService. With the
//! `CLIENT_ID` and `CLIENT_SECRET` of a service account (`auth-service service create greeter`) it
//! follows revocations: a session that is logged out is refused at once.

use std::{convert::Infallible, env, sync::Arc};

use client_sdk::{
    Session,
    guard::{
        AuthServiceKeys, AuthServiceRevocations, Caller, Guard, GuardLayer, KeyCache, Policy,
        Revocations,
    },
};
use http::{Request, Response};
use token::clock::SystemClock;
use tokio::net::TcpListener;
use tonic::{
    Status,
    body::Body,
    server::NamedService,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower::ServiceBuilder;

/// Stands for the server that tonic generates from a `.proto` file.
#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "example.v1.GreeterService";
}

impl tower::Service<Request<Body>> for Greeter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // A handler of a generated service reads `request.extensions()` in the same way.
        let answer = match request.extensions().get::<Caller>() {
            Some(caller) => Status::unimplemented(format!("nothing here yet, {}", caller.user_id)),
            None => Status::unimplemented("nothing here yet, whoever you are"),
        };
        std::future::ready(Ok(answer.into_http()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let auth_url = env::var("AUTH_URL").unwrap_or_else(|_| "http://127.0.0.1:50051".to_owned());
    let auth = Endpoint::from_shared(auth_url.clone())?.connect_lazy();
    let clock = Arc::new(SystemClock::new());
    let keys = KeyCache::new(AuthServiceKeys::new(auth.clone()), clock.clone());
    let mut guard = Guard::new("evergreen", "evergreen", keys);
    if let (Ok(id), Ok(secret)) = (env::var("CLIENT_ID"), env::var("CLIENT_SECRET")) {
        let session = Session::service(auth_url, id, secret).connect().await?;
        let channel = ServiceBuilder::new().layer(session.layer()).service(auth);
        guard = guard
            .revocations(Revocations::of(AuthServiceRevocations::new(channel), clock).follow());
    }
    let policy = Policy::deny_all()
        .public("/example.v1.GreeterService/Ping")
        .authenticated("/example.v1.GreeterService/Greet")
        .role("/example.v1.GreeterService/Dismiss", "admin");

    let greeter = ServiceBuilder::new().layer(GuardLayer::new(guard, policy)).service(Greeter);
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:50060".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let server = Server::builder().add_service(greeter);
    server.serve_with_incoming(TcpIncoming::from(listener)).await?;
    Ok(())
}
