//! Sessions as they are stored and shown.

use token::{Nonce, clock::Timestamp};

use crate::domain::{
    id::{SessionId, UserId},
    rotation::Row,
    user::{Grants, Status},
};

/// Why a session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RevokeReason {
    /// Its user was disabled.
    Disabled,
    /// Its user revoked it, and the database did not know it.
    Forgotten,
    /// Its holder logged out.
    Logout,
    /// Its user's password was changed in another session.
    PasswordChanged,
    /// A spent refresh token came back.
    Reused,
    /// Its user revoked it.
    User,
}

impl RevokeReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Forgotten => "forgotten",
            Self::Logout => "logout",
            Self::PasswordChanged => "password_changed",
            Self::Reused => "reused",
            Self::User => "user",
        }
    }

    /// What the tombstone says of a session that was to be revoked for this reason.
    pub(crate) const fn of_unknown(self) -> Self {
        match self {
            Self::User => Self::Forgotten,
            known => known,
        }
    }
}

/// A session that is about to be stored for the first time.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) device_name: String,
    pub(crate) create_time: Timestamp,
    /// To the second, since a token carries it.
    pub(crate) auth_time: Timestamp,
    pub(crate) nonce: Nonce,
    pub(crate) idle_until: Timestamp,
    pub(crate) absolute_until: Timestamp,
}

/// A session's row, with what its user's row says.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) device_name: String,
    pub(crate) create_time: Timestamp,
    pub(crate) auth_time: Timestamp,
    pub(crate) row: Row,
    pub(crate) holder: Holder,
}

impl Session {
    /// Whether its access tokens are still good: it has not been revoked, and its user may act.
    pub(crate) fn is_live(&self) -> bool {
        !self.row.revoked && self.holder.status == Status::Active
    }
}

/// What is read of a user together with a session: always as of the same statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) status: Status,
    pub(crate) grants: Grants,
}
