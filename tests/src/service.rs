//! A service that follows revocations, with ApiService's account.

use std::{fs, time::Duration};

use evergreen_proto::auth::v1::{
    Revocation, WatchRevocationsRequest, WatchRevocationsResponse,
    auth_service_client::AuthServiceClient,
};
use token::{AccessClaims, KeyRing, Kind, SigningKey, clock::Clock as _};
use tonic::{Status, Streaming, transport::Channel};

use crate::{World, bearing};

/// An access token of a service, signed as AuthService signs and good for `life`.
///
/// # Panics
///
/// If AuthService keeps its keys elsewhere.
pub async fn service_token(world: &World, life: Duration) -> String {
    let ring = fs::read_to_string(world.data_dir().join("master.keys")).expect("there is a ring");
    let ring = KeyRing::parse(&ring).expect("it is AuthService's");
    let (kid, sealed) = world.database.signing_key().await;
    let seed = ring.open(&kid, &sealed).expect("the ring has sealed the key");
    let seed: [u8; 32] = seed.as_slice().try_into().expect("a seed has 32 bytes");
    let now = world.clock.now();
    SigningKey::from_seed(seed.into()).sign(&AccessClaims {
        iss: "evergreen".into(),
        aud: "evergreen".into(),
        sub: world.accounts.api.client_id.clone(),
        client_id: world.accounts.api.client_id.clone(),
        sid: "00000000-0000-7000-8000-000000000002".into(),
        jti: "00000000-0000-7000-8000-000000000003".into(),
        iat: now.unix_seconds(),
        exp: (now + life).unix_seconds(),
        roles: Vec::new(),
        kind: Kind::Service,
        roles_version: 0,
    })
}

/// A stream of revocations, and what it has told last.
#[derive(Debug)]
pub struct Watch {
    /// Where to resume.
    pub cursor: String,
    stream: Streaming<WatchRevocationsResponse>,
}

impl Watch {
    /// Follows from `cursor` on.
    ///
    /// # Errors
    ///
    /// What AuthService answers.
    pub async fn start(
        mut client: AuthServiceClient<Channel>,
        token: &str,
        cursor: &str,
    ) -> Result<Self, Status> {
        let request = bearing(token, WatchRevocationsRequest { cursor: cursor.into() });
        let stream = client.watch_revocations(request).await?.into_inner();
        Ok(Self { cursor: cursor.into(), stream })
    }

    /// The next message. None once the server has ended the stream.
    ///
    /// # Errors
    ///
    /// Why the stream was cut.
    pub async fn message(&mut self) -> Result<Option<WatchRevocationsResponse>, Status> {
        let message = self.stream.message().await?;
        if let Some(message) = &message {
            self.cursor.clone_from(&message.cursor);
        }
        Ok(message)
    }

    /// The next message that says more than that the stream lives: whether it is a snapshot, and its
    /// revocations.
    ///
    /// # Panics
    ///
    /// If the stream ends.
    pub async fn told(&mut self) -> (bool, Vec<Revocation>) {
        loop {
            let message = self.message().await.expect("the stream goes on");
            let message = message.expect("the server goes on");
            if message.snapshot || !message.revocations.is_empty() {
                return (message.snapshot, message.revocations);
            }
        }
    }
}
