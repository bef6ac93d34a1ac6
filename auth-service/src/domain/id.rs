//! Ids of users, service accounts and sessions.

use std::fmt;

use token::{clock::Timestamp, entropy::Entropy};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) Uuid);

        impl $name {
            /// A new one, ordered by time of creation (UUID version 7, RFC 9562 section 5.7).
            pub(crate) fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(new_v7(now, entropy))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Names a service account: its `client_id`.
    ServiceId
}

id! {
    /// Names a session.
    SessionId
}

id! {
    /// Names a user.
    UserId
}

/// Names an account, be it a service's or a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AccountId {
    Service(ServiceId),
    User(UserId),
}

impl AccountId {
    /// Ids do not repeat, so it tells the account without its kind too.
    pub(crate) const fn uuid(self) -> Uuid {
        match self {
            Self::Service(service) => service.0,
            Self::User(user) => user.0,
        }
    }
}

impl From<ServiceId> for AccountId {
    fn from(service: ServiceId) -> Self {
        Self::Service(service)
    }
}

impl From<UserId> for AccountId {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

/// A time-ordered UUID.
pub(crate) fn new_v7(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let millis = u64::try_from(now.unix_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &entropy.array()).into_uuid()
}
