//! Who may call what.

use std::collections::HashMap;

use super::{caller::Caller, refusal::Refusal};

/// What a method asks of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// A good access token.
    Authenticated,
    /// Nothing: the token is not looked at, and there is no [`Caller`].
    Public,
    /// A good access token with this role.
    Role(String),
}

/// Says of each method who may call it. A method that is not listed is denied to everybody, so one
/// that is added to a service is closed until somebody has thought about it.
///
/// Methods are named as on the wire: `/package.Service/Method`.
#[derive(Clone, Debug, Default)]
pub struct Policy(HashMap<String, Access>);

impl Policy {
    /// Allows nothing.
    #[must_use]
    pub fn deny_all() -> Self {
        Self::default()
    }

    /// Opens `method` to everybody.
    #[must_use]
    pub fn public(self, method: impl Into<String>) -> Self {
        self.with(method, Access::Public)
    }

    /// Opens `method` to everybody with a good access token.
    #[must_use]
    pub fn authenticated(self, method: impl Into<String>) -> Self {
        self.with(method, Access::Authenticated)
    }

    /// Opens `method` to those with `role`.
    #[must_use]
    pub fn role(self, method: impl Into<String>, role: impl Into<String>) -> Self {
        self.with(method, Access::Role(role.into()))
    }

    /// What `method` asks; `None` is denied.
    #[must_use]
    pub fn access(&self, method: &str) -> Option<&Access> {
        self.0.get(method)
    }

    fn with(mut self, method: impl Into<String>, access: Access) -> Self {
        self.0.insert(method.into(), access);
        self
    }
}

impl Access {
    /// Whether `caller`, whose token is good, is let through.
    pub(super) fn admit(&self, caller: &Caller) -> Result<(), Refusal> {
        match self {
            Self::Authenticated | Self::Public => Ok(()),
            Self::Role(role) if caller.has_role(role) => Ok(()),
            Self::Role(_) => Err(Refusal::Denied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Kind;

    fn caller(roles: &[&str]) -> Caller {
        Caller {
            user_id: "user".into(),
            session_id: "session".into(),
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            kind: Kind::User,
        }
    }

    #[test]
    fn what_is_not_listed_is_denied() {
        let policy = Policy::deny_all().public("/s/Open");
        assert_eq!(policy.access("/s/Open"), Some(&Access::Public));
        for other in ["/s/open", "/s/Open/", "//s/Open", "/s/Opens", "/s", "", "*"] {
            assert_eq!(policy.access(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_role_is_compared_whole() {
        let access = Access::Role("admin".into());
        assert_eq!(access.admit(&caller(&["editor", "admin"])), Ok(()));
        for roles in [&[][..], &["editor"], &["Admin"], &["administrator"], &["admin "]] {
            assert_eq!(access.admit(&caller(roles)), Err(Refusal::Denied), "{roles:?}");
        }
        assert_eq!(Access::Authenticated.admit(&caller(&[])), Ok(()));
    }
}
