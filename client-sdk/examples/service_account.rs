//! A service that calls by itself: it logs in with its secret once, however many calls begin.
//!
//! `auth-service service create worker --role viewer` shows a client id and a secret, once; then
//! `CLIENT_ID=... CLIENT_SECRET=... cargo run --example service_account`. `AUTH_URL` and `API_URL`
//! name other addresses than those of `evergreen up`.

use std::env;

use client_sdk::Session;
use evergreen_proto::{
    api::v1::{ListTreesRequest, api_service_client::ApiServiceClient},
    auth::v1::{IntrospectTokenRequest, auth_service_client::AuthServiceClient},
};
use secrecy::ExposeSecret as _;
use tonic::transport::Endpoint;
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let auth_url = env::var("AUTH_URL").unwrap_or_else(|_| "http://127.0.0.1:50051".to_owned());
    let api_url = env::var("API_URL").unwrap_or_else(|_| "http://127.0.0.1:50052".to_owned());
    let (id, secret) = (env::var("CLIENT_ID")?, env::var("CLIENT_SECRET")?);
    let session = Session::service(auth_url, id, secret).connect().await?;

    let channel = ServiceBuilder::new()
        .layer(session.layer())
        .service(Endpoint::from_shared(api_url)?.connect_lazy());
    let list = async || {
        ApiServiceClient::new(channel.clone()).list_trees(ListTreesRequest::default()).await
    };
    let (one, two, three) = tokio::try_join!(list(), list(), list())?;
    let trees = [one, two, three].map(|answer| answer.into_inner().trees.len());
    println!("three calls at once, each with {} trees", trees[0]);

    // What a service asks that cannot verify a token itself; here of its own.
    let token = session.access_token().ok_or("no token")?.expose_secret().to_owned();
    let mut auth = AuthServiceClient::new(session.auth_channel()?);
    let said = auth.introspect_token(IntrospectTokenRequest { token }).await?.into_inner();
    println!("a {} with the roles {:?}, active: {}", said.kind, said.roles, said.active);
    Ok(())
}
