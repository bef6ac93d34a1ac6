//! Logs in, or goes on with what `tokens.json` holds, and lists trees.
//!
//! `cargo run --example quickstart -- ada <password>` beside a running `evergreen up`; `AUTH_URL`
//! and `API_URL` name other addresses than its own.

use std::env;

use client_sdk::{Event, Session, SessionState, store::FileStore};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use tonic::transport::Endpoint;
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let auth_url = env::var("AUTH_URL").unwrap_or_else(|_| "http://127.0.0.1:50051".to_owned());
    let api_url = env::var("API_URL").unwrap_or_else(|_| "http://127.0.0.1:50052".to_owned());
    let session = Session::builder(auth_url)
        .store(FileStore::open("tokens.json")?)
        .device_name("quickstart")
        .connect()
        .await?;

    let mut events = session.events();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::SignedOut { reason } = event {
                println!("please log in again: {reason}");
            }
        }
    });

    let signed_out = matches!(*session.state().borrow(), SessionState::SignedOut { .. });
    if signed_out {
        let mut args = env::args().skip(1);
        let (Some(name), Some(password)) = (args.next(), args.next()) else {
            return Err("usage: quickstart <name> <password>".into());
        };
        session.login(name, password).await?;
    }

    let channel = ServiceBuilder::new()
        .layer(session.layer())
        .service(Endpoint::from_shared(api_url)?.connect_lazy());
    let mut api = ApiServiceClient::new(channel);
    for tree in api.list_trees(ListTreesRequest::default()).await?.into_inner().trees {
        println!("{}", tree.title);
    }
    Ok(())
}
