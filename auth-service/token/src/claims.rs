//! What an access token says (RFC 9068 section 2.2).

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Who holds an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A person, in a session that a refresh token keeps alive.
    User,
    /// A service account, which logs in again with its secret.
    Service,
}

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who minted it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// The user or service account.
    pub sub: String,
    /// The client it was issued to.
    pub client_id: String,
    /// The session; for a service account, the login.
    pub sid: String,
    /// Unique to this token.
    pub jti: String,
    /// When it was minted, in Unix seconds.
    pub iat: i64,
    /// When it runs out, in Unix seconds.
    pub exp: i64,
    /// What its holder may do.
    pub roles: Vec<String>,
    /// Who its holder is.
    pub kind: Kind,
    /// Counts the changes of the holder's roles: a token with less than the newest count is stale.
    /// Not of RFC 9068; left out while it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub roles_version: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(version: &u32) -> bool {
    *version == 0
}

impl AccessClaims {
    /// When it runs out.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.exp)
    }
}
