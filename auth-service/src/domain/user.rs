//! Users.

use std::collections::BTreeSet;

use token::clock::Timestamp;

use crate::domain::{
    id::UserId,
    secret::{PasswordHash, Username},
};

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Reads.
    Viewer,
    /// Reads, and writes what is theirs.
    Editor,
    /// Administers.
    Admin,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// The roles of these names, each once.
///
/// # Errors
///
/// How to mend the names.
pub(crate) fn roles_of<S: AsRef<str>>(names: &[S]) -> Result<Vec<Role>, &'static str> {
    let roles: Option<BTreeSet<_>> = names.iter().map(|name| Role::parse(name.as_ref())).collect();
    Ok(roles.ok_or("must each be one of viewer, editor, admin")?.into_iter().collect())
}

/// The names of roles, as an operator reads them.
pub(crate) fn names_of(roles: &[Role]) -> String {
    if roles.is_empty() {
        return "none".into();
    }
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",")
}

/// Whether a change may leave nobody who administers: no user who may act and has the role admin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastAdmin {
    MayGo,
    Stays,
}

impl LastAdmin {
    /// Whether the last one may not be given these roles.
    pub(crate) fn forbids_roles(self, roles: &[Role]) -> bool {
        self == Self::Stays && !roles.contains(&Role::Admin)
    }

    /// Whether the last one may not be brought into this status.
    pub(crate) fn forbids_status(self, status: Status) -> bool {
        self == Self::Stays && status == Status::Disabled
    }
}

/// Whether a user may log in and act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    Disabled,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == name)
    }
}

/// What an access token says of its holder: roles, and which change of them they are of. Both come
/// from one row in one reading, or a token could carry old roles under a new count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    pub(crate) roles: Vec<Role>,
    /// Goes up with every change: a token with less than the newest one is stale.
    pub(crate) version: u32,
}

#[cfg(any(test, feature = "simulation"))]
impl Grants {
    /// The count of a change at `now`, by the store's clock.
    ///
    /// At least the second in which it is made, so that a database that was restored, and has
    /// forgotten changes, does not come to a count again that tokens of before the restore carry.
    pub(crate) fn next_version(version: u32, now: Timestamp) -> u32 {
        version.saturating_add(1).max(u32::try_from(now.unix_seconds()).unwrap_or_default())
    }
}

/// Counts the changes of a user's password, so that a decision made on an old one can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PasswordVersion(pub(crate) i64);

/// A user that is about to be stored for the first time.
#[derive(Clone, Debug)]
pub(crate) struct NewUser {
    pub(crate) id: UserId,
    pub(crate) username: Username,
    pub(crate) password: PasswordHash,
    pub(crate) roles: Vec<Role>,
    pub(crate) create_time: Timestamp,
}

/// A user's row.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) password: PasswordHash,
    pub(crate) password_version: PasswordVersion,
    pub(crate) status: Status,
    pub(crate) grants: Grants,
    pub(crate) create_time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_up_and_past_whatever_was_counted_before_its_second() {
        let at = Timestamp::from_unix_seconds(1_000_000);
        assert_eq!(Grants::next_version(0, at), 1_000_000);
        assert_eq!(Grants::next_version(1_000_000, at), 1_000_001);
        // A clock that was set back does not count down.
        assert_eq!(Grants::next_version(1_000_007, at), 1_000_008);
        assert_eq!(Grants::next_version(3, Timestamp::from_unix_seconds(-1)), 4);
        assert_eq!(Grants::next_version(u32::MAX, at), u32::MAX);
    }

    #[test]
    fn roles_are_in_one_order_and_once_and_others_are_told_the_choices() {
        assert_eq!(roles_of(&["admin", "viewer", "admin"]), Ok(vec![Role::Viewer, Role::Admin]));
        assert_eq!(roles_of::<&str>(&[]), Ok(vec![]));
        for bad in ["", "Admin", "root", "viewer,admin"] {
            let mend = roles_of(&["viewer", bad]).unwrap_err();
            for role in Role::ALL {
                assert!(mend.contains(role.as_str()), "{mend}");
            }
        }
    }
}
