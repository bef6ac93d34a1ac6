//! What a security reviewer asks for later.

use std::{fmt, net::IpAddr};

use token::clock::Timestamp;
use uuid::Uuid;

use crate::domain::id::{AccountId, ServiceId, SessionId, UserId};

/// Something that happened to an account, a session or the signing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditEvent {
    /// Ordered by time of creation.
    pub(crate) id: Uuid,
    pub(crate) time: Timestamp,
    pub(crate) kind: EventKind,
    /// Whose account, if the request named one that exists.
    pub(crate) account: Option<AccountId>,
    /// Who did it, if not that account.
    pub(crate) actor: Option<Actor>,
    /// What was set, as an operator reads it.
    pub(crate) detail: String,
    pub(crate) session: Option<SessionId>,
    /// Where the request came from.
    pub(crate) address: Option<IpAddr>,
    /// What the client called itself when it logged in.
    pub(crate) device: String,
}

impl AuditEvent {
    pub(crate) fn of(mut self, account: impl Into<AccountId>) -> Self {
        self.account = Some(account.into());
        self
    }

    pub(crate) fn detailed(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
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

/// Who does something to an account that is another's, or to the signing keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// An administrator, by an RPC.
    Account(AccountId),
    /// Whoever may run commands where the database is.
    Operator,
}

impl Actor {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == OPERATOR {
            return Some(Self::Operator);
        }
        let (kind, id) = text.split_once(':')?;
        let id = id.parse().ok()?;
        match kind {
            SERVICE => Some(Self::Account(ServiceId(id).into())),
            USER => Some(Self::Account(UserId(id).into())),
            _ => None,
        }
    }
}

/// As it stands in the log.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(AccountId::Service(id)) => write!(f, "{SERVICE}:{id}"),
            Self::Account(AccountId::User(id)) => write!(f, "{USER}:{id}"),
            Self::Operator => f.write_str(OPERATOR),
        }
    }
}

const OPERATOR: &str = "operator";
const SERVICE: &str = "service";
const USER: &str = "user";

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
    /// Failures locked a name; every event of this kind is one lock, however many attempts it refused.
    LoginLocked = "login_locked",
    /// A user's password was changed, and their other sessions ended.
    PasswordChanged = "password_changed",
    /// A genuine refresh token was newer than its row, or had none: the database is a restored or
    /// failed-over copy.
    RefreshAdopted = "refresh_adopted",
    /// A refresh token that is bound to a client's key came over a connection without it; nothing changed.
    RefreshCertificateMismatch = "refresh_certificate_mismatch",
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
    /// An administrator barred an account, and its sessions ended.
    UserDisabled = "user_disabled",
    /// An administrator let an account in again.
    UserEnabled = "user_enabled",
    /// An administrator let a user log in whose name was locked by failures.
    UserUnlocked = "user_unlocked",
}

impl EventKind {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// The account of this id that such an event is about.
    pub(crate) const fn account(self, id: Uuid) -> AccountId {
        match self {
            Self::ServiceCreated
            | Self::ServiceDisabled
            | Self::ServiceEnabled
            | Self::ServiceLoginFailed
            | Self::ServiceLoginSucceeded
            | Self::ServiceSecretRotated => AccountId::Service(ServiceId(id)),
            _ => AccountId::User(UserId(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_read_as_it_was_written() {
        let id = Uuid::from_u128(7);
        let service = Actor::Account(ServiceId(id).into());
        let user = Actor::Account(UserId(id).into());
        for (actor, text) in [
            (Actor::Operator, "operator"),
            (service, "service:00000000-0000-0000-0000-000000000007"),
            (user, "user:00000000-0000-0000-0000-000000000007"),
        ] {
            assert_eq!(actor.to_string(), text);
            assert_eq!(Actor::parse(text), Some(actor));
        }
        for text in ["", "user:", "user:7", "root:00000000-0000-0000-0000-000000000007"] {
            assert_eq!(Actor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_told_of_services_is_of_a_service_s_account() {
        let id = Uuid::from_u128(7);
        for kind in EventKind::ALL {
            let is_service = matches!(kind.account(id), AccountId::Service(_));
            assert_eq!(is_service, kind.as_str().starts_with("service_"), "{kind:?}");
        }
    }
}
