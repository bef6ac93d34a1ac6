//! What a security reviewer asks for later.

use std::net::IpAddr;

use token::clock::Timestamp;
use uuid::Uuid;

use crate::domain::id::{ServiceId, SessionId, UserId};

/// Something that happened to an account, a session or the signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditEvent {
    /// Ordered by time of creation.
    pub(crate) id: Uuid,
    pub(crate) time: Timestamp,
    pub(crate) kind: EventKind,
    /// Whose account, a user's or a service's, if the request named one that exists.
    pub(crate) user: Option<UserId>,
    pub(crate) session: Option<SessionId>,
    /// Where the request came from.
    pub(crate) address: Option<IpAddr>,
    /// What the client called itself when it logged in.
    pub(crate) device: String,
}

impl AuditEvent {
    pub(crate) fn of_user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// A service's account is told of as a user's is: ids do not repeat.
    pub(crate) fn of_service(self, service: ServiceId) -> Self {
        self.of_user(UserId(service.0))
    }

    pub(crate) fn of_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    pub(crate) fn on_device(mut self, device: &str) -> Self {
        device.clone_into(&mut self.device);
        self
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum EventKind {
            $($(#[$doc])* $kind,)*
        }

        impl EventKind {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// As it stands in the log.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// A password was proven, and a session began.
    LoginSucceeded = "login_succeeded",
    /// A password was wrong, its user unknown, or the account disabled.
    LoginFailed = "login_failed",
    /// A user's password was changed, and their other sessions ended.
    PasswordChanged = "password_changed",
    /// A genuine refresh token was newer than its row, or had none: the database is a restored or
    /// failed-over copy.
    RefreshAdopted = "refresh_adopted",
    /// A spent refresh token came back, and its session was revoked.
    RefreshReused = "refresh_reused",
    /// A spent refresh token came back, and may be honest.
    RefreshSuperseded = "refresh_superseded",
    /// A service account was made.
    ServiceCreated = "service_created",
    /// A service account was barred.
    ServiceDisabled = "service_disabled",
    /// A service account was let in again.
    ServiceEnabled = "service_enabled",
    /// A service's secret was wrong, its account unknown, or disabled.
    ServiceLoginFailed = "service_login_failed",
    /// A service proved its secret.
    ServiceLoginSucceeded = "service_login_succeeded",
    /// A service was given a new secret.
    ServiceSecretRotated = "service_secret_rotated",
    /// An administrator replaced a user's roles.
    RolesChanged = "roles_changed",
    /// A holder ended their session.
    SessionLoggedOut = "session_logged_out",
    /// A user revoked one of their sessions.
    SessionRevoked = "session_revoked",
    /// A user revoked all of their sessions.
    SessionsRevoked = "sessions_revoked",
    /// The active signing key was known to others: it was withdrawn, and a new one signs.
    SigningKeyCompromised = "signing_key_compromised",
    /// A signing key was made, and is published.
    SigningKeyMade = "signing_key_made",
    /// The published signing key signs from now on, and the one before no more.
    SigningKeyPromoted = "signing_key_promoted",
    /// An account was made.
    UserCreated = "user_created",
    /// An administrator locked an account, and its sessions ended.
    UserDisabled = "user_disabled",
    /// An administrator unlocked an account.
    UserEnabled = "user_enabled",
}

impl EventKind {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}
