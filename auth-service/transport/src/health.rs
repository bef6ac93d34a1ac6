//! `grpc.health.v1`: whether the server serves, and that it no longer does.
//!
//! All services of a server are in one state, and streams end once they have told that it is being
//! left: a balancer that watches would otherwise hold up the server which it is told to leave.

use std::pin::Pin;

use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

/// The service that answers for `services`, and for the server as a whole, by the empty name. It says
/// SERVING until the sender beside it is dropped.
pub(crate) fn health(services: &[&str]) -> (watch::Sender<()>, HealthServer<impl Health>) {
    let (serves, left) = watch::channel(());
    let services = services.iter().map(|&service| service.to_owned()).collect();
    (serves, HealthServer::new(HealthOf { services, left }))
}

#[derive(Debug)]
struct HealthOf {
    services: Vec<String>,
    /// Its sender lives for as long as the server serves.
    left: watch::Receiver<()>,
}

impl HealthOf {
    fn knows(&self, request: &Request<HealthCheckRequest>) -> Result<(), Status> {
        let asked = &request.get_ref().service;
        if asked.is_empty() || self.services.contains(asked) {
            return Ok(());
        }
        Err(Status::not_found("no service of this name is served here"))
    }
}

#[tonic::async_trait]
impl Health for HealthOf {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.knows(&request)?;
        let serves = self.left.has_changed().is_ok();
        Ok(Response::new(if serves { SERVING } else { NOT_SERVING }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.knows(&request)?;
        let (told, stream) = tokio::sync::mpsc::channel(1);
        let mut left = self.left.clone();
        tokio::spawn(async move {
            if left.has_changed().is_ok() {
                // Who has gone is told nothing.
                let _ = told.send(Ok(SERVING)).await;
                tokio::select! {
                    _ = left.changed() => {}
                    () = told.closed() => return,
                }
            }
            let _ = told.send(Ok(NOT_SERVING)).await;
            let _ = told.send(Err(Status::unavailable("this server is stopping"))).await;
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(stream))))
    }
}

const SERVING: HealthCheckResponse = HealthCheckResponse { status: ServingStatus::Serving as i32 };
const NOT_SERVING: HealthCheckResponse =
    HealthCheckResponse { status: ServingStatus::NotServing as i32 };
