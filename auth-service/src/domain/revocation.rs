//! What makes access tokens stale before they run out.

use token::clock::Timestamp;
use uuid::Uuid;

use crate::domain::id::SessionId;

/// An instant at which access tokens went stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Revocation {
    pub(crate) what: Revoked,
    pub(crate) at: Timestamp,
}

/// Which access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Revoked {
    /// Those of a user or service account that count fewer changes of roles than `version`.
    Roles { holder: Uuid, version: u32 },
    /// All of a session.
    Session(SessionId),
}
