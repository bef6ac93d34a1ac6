//! Keeps a session with an issuer of one's own: here one that has a client secret and no refresh
//! token, as in RFC 6749 section 4.4.

use std::time::Duration;

use client_sdk::{RefreshFuture, RefreshRequest, Refresher, Renewal, Session, TokenPair};

#[derive(Debug)]
struct ClientCredentials {
    client_id: String,
}

impl ClientCredentials {
    /// Stands for a request to the issuer.
    async fn issue(&self) -> Result<String, String> {
        Ok(format!("a token for {}", self.client_id))
    }
}

impl Refresher for ClientCredentials {
    fn refresh(&self, _: RefreshRequest) -> RefreshFuture<'_> {
        Box::pin(async {
            match self.issue().await {
                Ok(token) => Renewal::Renewed(
                    TokenPair::new(token).access_expires_in(Duration::from_secs(300)),
                ),
                // Only an issuer's own refusal would be `Rejected`, which ends the session.
                Err(message) => Renewal::Unreachable { message, retry_after: None },
            }
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = ClientCredentials { client_id: "reports".to_owned() };
    let session = Session::custom(issuer).connect().await?;
    // No token yet: an empty one, which the first call renews.
    session.set_tokens(TokenPair::new("").access_expires_in(Duration::ZERO)).await?;
    session.refresh().await?;
    println!("{:?}", session.state().borrow());
    Ok(())
}
