//! Who may call what.

use std::{collections::HashMap, sync::Arc};

use token::Kind;

use super::{caller::Caller, refusal::Refusal};

/// What a method asks of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// A good access token.
    Authenticated,
    /// Nothing: the token is not looked at, and there is no [`Caller`].
    Public,
    /// A good access token with one of these roles.
    AnyRole(Arc<[String]>),
    /// A service account's good access token.
    Service,
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
        self.any_role(method, [role])
    }

    /// Opens `method` to those with one of `roles`.
    #[must_use]
    pub fn any_role<R: Into<String>>(
        self,
        method: impl Into<String>,
        roles: impl IntoIterator<Item = R>,
    ) -> Self {
        self.with(method, Access::AnyRole(roles.into_iter().map(Into::into).collect()))
    }

    /// Opens `method` to service accounts.
    #[must_use]
    pub fn service(self, method: impl Into<String>) -> Self {
        self.with(method, Access::Service)
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
            Self::AnyRole(roles) if roles.iter().any(|role| caller.has_role(role)) => Ok(()),
            Self::Service if caller.kind == Kind::Service => Ok(()),
            Self::AnyRole(_) | Self::Service => Err(Refusal::Denied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Identity;

    fn caller(roles: &[&str]) -> Caller {
        Identity::new("user", "session", Kind::User).with_roles(roles.iter().copied()).into()
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
        let access = Access::AnyRole(["admin".into(), "owner".into()].into());
        assert_eq!(access.admit(&caller(&["owner"])), Ok(()));
        assert_eq!(access.admit(&caller(&["editor", "admin"])), Ok(()));
        for roles in [&[][..], &["editor"], &["Admin"], &["administrator"], &["admin "]] {
            assert_eq!(access.admit(&caller(roles)), Err(Refusal::Denied), "{roles:?}");
        }
        assert_eq!(Access::Authenticated.admit(&caller(&[])), Ok(()));
    }

    #[test]
    fn what_is_for_services_is_for_no_person_of_any_role() {
        let service = Caller::from(Identity::new("svc", "login", Kind::Service));
        assert_eq!(Access::Service.admit(&service), Ok(()));
        assert_eq!(Access::Service.admit(&caller(&["admin"])), Err(Refusal::Denied));
        assert_eq!(Access::AnyRole(["admin".into()].into()).admit(&service), Err(Refusal::Denied));
    }
}
