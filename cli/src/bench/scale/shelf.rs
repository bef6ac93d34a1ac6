//! An ApiService to be measured, and tokens for any number of users.

use std::{path::PathBuf, sync::Arc, time::Duration};

use client_sdk::guard::Kind;
use evergreen_proto::{
    api::v1::api_service_client::ApiServiceClient,
    auth::v1::{GetJwksRequest, GetJwksResponse, JsonWebKey},
};
use token::{
    AccessClaims, SigningKey,
    clock::{Clock as _, SystemClock},
    entropy::SystemEntropy,
};
use tonic::{Request, Status, transport::Channel};
use transport::database_url::DatabaseUrl;

use crate::{
    bench::{Bearer, Unobserved, bearing, connect, echo::Echo},
    lab::{Failure, Running, start_api},
};

/// Publishes one key, and signs with it.
pub(super) struct Issuer {
    key: Arc<SigningKey>,
    jwks: Echo<GetJwksRequest, GetJwksResponse>,
}

impl Issuer {
    pub(super) async fn start() -> Result<Self, Failure> {
        let key = SigningKey::generate(&SystemEntropy);
        let public = JsonWebKey {
            kid: key.public().kid().into(),
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: key.public().x(),
            alg: "EdDSA".into(),
            r#use: "sig".into(),
        };
        let max_age = prost_types::Duration { seconds: 3_600, nanos: 0 };
        let answer = GetJwksResponse { keys: vec![public], max_age: Some(max_age) };
        Ok(Self { key: Arc::new(key), jwks: Echo::start(answer).await? })
    }
}

/// An ApiService with trees.
pub(super) struct Shelf {
    key: Arc<SigningKey>,
    service: Running,
    channel: Channel,
}

/// One user's stub.
#[derive(Clone)]
pub(super) struct User {
    pub(super) client: ApiServiceClient<Channel>,
    bearer: Bearer,
}

impl Shelf {
    pub(super) async fn open(
        issuer: &Issuer,
        data_dir: PathBuf,
        database_url: Option<DatabaseUrl>,
    ) -> Result<Self, Failure> {
        let config = api_service::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            auth_url: issuer.jwks.url(),
            data_dir,
            database_url,
            ..api_service::Config::default()
        };
        let clock = Arc::new(SystemClock::new());
        let service = start_api(config, clock, Arc::new(Unobserved), None).await?;
        let channel = connect(&service.url()).await?;
        Ok(Self { key: Arc::clone(&issuer.key), service, channel })
    }

    pub(super) fn user(&self, number: u32) -> Result<User, Failure> {
        let now = SystemClock::new().now();
        let token = self.key.sign(&AccessClaims {
            iss: "evergreen".into(),
            aud: "evergreen".into(),
            sub: format!("0199ffff-7000-7000-8000-{number:012x}"),
            client_id: "evergreen".into(),
            sid: format!("0199fffe-7000-7000-8000-{number:012x}"),
            jti: format!("0199fffd-7000-7000-8000-{number:012x}"),
            iat: now.unix_seconds(),
            exp: (now + Duration::from_secs(24 * 3_600)).unix_seconds(),
            roles: vec!["editor".into()],
            kind: Kind::User,
            roles_version: 0,
        });
        let client = ApiServiceClient::new(self.channel.clone());
        Ok(User { client, bearer: format!("Bearer {token}").parse()? })
    }

    pub(super) async fn stop(self) -> Result<(), Failure> {
        drop(self.channel);
        self.service.stop().await
    }
}

impl User {
    pub(super) fn ask<T>(&self, message: T) -> Request<T> {
        bearing(message, &self.bearer)
    }
}

/// What an answer lacks that it must have.
pub(super) fn lacking(what: &str) -> Status {
    Status::internal(format!("the answer lacks {what}"))
}
