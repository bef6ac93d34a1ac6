//! What a security reviewer asks for later.

use crate::domain::id::{SessionId, UserId};

/// Something that an operator may have to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SecurityEvent {
    /// A genuine refresh token was newer than its row, or had none: the database is a restored or
    /// failed-over copy.
    Adopted { session: SessionId, user: UserId },
    /// A spent refresh token came back, and its session was revoked.
    Reused { session: SessionId, user: UserId },
}

impl SecurityEvent {
    /// Writes the event to the log, at level WARN.
    pub(crate) fn record(self) {
        match self {
            Self::Adopted { session, user } => tracing::warn!(
                target: "evergreen::audit", event = "refresh_adopted", %session, %user,
                "a session newer than the database was adopted"
            ),
            Self::Reused { session, user } => tracing::warn!(
                target: "evergreen::audit", event = "refresh_reused", %session, %user,
                "a spent refresh token came back; the session was revoked"
            ),
        }
    }
}
