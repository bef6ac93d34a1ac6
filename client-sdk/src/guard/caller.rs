//! Who calls.

use token::{AccessClaims, Kind};

/// Who calls, as a verified access token says. In the extensions of every request that the guard
/// let through, save those to public methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user or service account.
    pub user_id: String,
    /// The session that the token belongs to.
    pub session_id: String,
    /// What the caller may do, as of the token's minting.
    pub roles: Vec<String>,
    /// A person or a service.
    pub kind: Kind,
}

impl Caller {
    /// Whether the caller has this role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}

impl From<AccessClaims> for Caller {
    fn from(claims: AccessClaims) -> Self {
        Self { user_id: claims.sub, session_id: claims.sid, roles: claims.roles, kind: claims.kind }
    }
}
