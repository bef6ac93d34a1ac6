//! Calls ApiService twice a second, for half a minute unless told otherwise, and tells how often the
//! token was renewed.
//!
//! ```sh
//! cargo run --release --bin evergreen -- up --demo --access-token-ttl 2s
//! cargo run --example keep_calling -- 30
//! ```
//!
//! `AUTH_URL` and `API_URL` name other addresses.

use std::{env, time::Duration};

use client_sdk::{Event, Session};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use tokio::time::{Instant, interval};
use tonic::transport::Endpoint;
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = env::args().nth(1).map_or(Ok(30), |text| text.parse())?;
    let auth_url = env::var("AUTH_URL").unwrap_or_else(|_| "http://127.0.0.1:50051".to_owned());
    let api_url = env::var("API_URL").unwrap_or_else(|_| "http://127.0.0.1:50052".to_owned());
    let session = Session::builder(auth_url).connect().await?;
    session.login("demo", "evergreen-demo-1").await?;
    let mut events = session.events();
    let channel = ServiceBuilder::new()
        .layer(session.layer())
        .service(Endpoint::from_shared(api_url)?.connect_lazy());
    let mut api = ApiServiceClient::new(channel);

    let (mut calls, mut errors) = (0, 0);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut turn = interval(Duration::from_millis(500));
    while Instant::now() < end {
        turn.tick().await;
        calls += 1;
        if let Err(status) = api.list_trees(ListTreesRequest::default()).await {
            errors += 1;
            eprintln!("{status}");
        }
    }
    let refreshes = std::iter::from_fn(|| events.try_recv())
        .filter(|event| matches!(event, Event::Refreshed))
        .count();
    println!("{calls} calls, {refreshes} refreshes, {errors} errors");
    session.logout().await?;
    Ok(())
}
