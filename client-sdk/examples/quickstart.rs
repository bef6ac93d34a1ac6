//! Logs in, or goes on with what `tokens.json` holds, and lists trees.
//!
//! `cargo run --example quickstart -- ada <password>` beside a running `evergreen up`.

use client_sdk::{Event, Session, SessionState, store::FileStore};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use tonic::transport::Endpoint;
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::builder("http://127.0.0.1:50051")
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
        let mut args = std::env::args().skip(1);
        let (Some(name), Some(password)) = (args.next(), args.next()) else {
            return Err("usage: quickstart <name> <password>".into());
        };
        session.login(name, password).await?;
    }

    let channel = ServiceBuilder::new()
        .layer(session.layer())
        .service(Endpoint::from_static("http://127.0.0.1:50052").connect_lazy());
    let mut api = ApiServiceClient::new(channel);
    for tree in api.list_trees(ListTreesRequest::default()).await?.into_inner().trees {
        println!("{}", tree.title);
    }
    Ok(())
}
