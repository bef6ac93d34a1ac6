//! What administrators list: which of it, and where a page begins.

use token::clock::Timestamp;
use uuid::Uuid;

use crate::domain::{
    audit::EventKind,
    id::{SessionId, UserId},
    secret::Username,
    user::{NewUser, Role, Status},
};

/// How many items a page holds, of the most that it may.
///
/// # Errors
///
/// How to mend the number: 0 leaves it to the service, and more than the most is the most.
pub(crate) fn page_size(asked: i32, most: u32) -> Result<u32, &'static str> {
    match u32::try_from(asked) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(most)),
        Err(_) => Err("must not be negative"),
    }
}

/// A user without what proves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserSummary {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) status: Status,
    pub(crate) roles: Vec<Role>,
    pub(crate) create_time: Timestamp,
}

impl UserSummary {
    /// The place in the list, by which the next page goes on.
    pub(crate) fn key(&self) -> String {
        self.username.to_ascii_lowercase()
    }
}

impl From<NewUser> for UserSummary {
    fn from(user: NewUser) -> Self {
        Self {
            id: user.id,
            username: user.username.as_str().to_owned(),
            status: Status::Active,
            roles: user.roles,
            create_time: user.create_time,
        }
    }
}

/// Names that follow one another in the order of their bytes: keys from `from` on, and before `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameRange {
    pub(crate) from: String,
    pub(crate) to: String,
}

impl NameRange {
    /// The names that begin so, whatever the case.
    ///
    /// # Errors
    ///
    /// How to mend the beginning.
    pub(crate) fn beginning_with(prefix: &str) -> Result<Self, &'static str> {
        // With a letter at its end, what a name may begin with is a name.
        let is_beginning = prefix.is_empty() || Username::parse(&format!("{prefix}a")).is_ok();
        if !is_beginning && Username::parse(prefix).is_err() {
            return Err(
                "must be what a username can begin with: letters, digits, and . _ - @ + inside",
            );
        }
        let from = prefix.to_ascii_lowercase();
        // Greater than every character of a name.
        let to = format!("{from}\u{7f}");
        Ok(Self { from, to })
    }

    /// What of them comes after the name of this key.
    pub(crate) fn after(self, key: &str) -> Self {
        // Less than every character of a name.
        Self { from: format!("{key}\u{1}"), ..self }
    }
}

/// Which events are listed: those that have all of what is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventFilter {
    pub(crate) kind: Option<EventKind>,
    pub(crate) account: Option<Uuid>,
    pub(crate) session: Option<SessionId>,
    pub(crate) since: Option<Timestamp>,
}

impl EventFilter {
    /// Whether an event of this kind, account, session and time is one of them.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn takes(&self, event: &crate::domain::audit::AuditEvent) -> bool {
        self.kind.is_none_or(|kind| event.kind == kind)
            && self
                .account
                .is_none_or(|id| event.account.map(crate::domain::id::AccountId::uuid) == Some(id))
            && self.session.is_none_or(|id| event.session == Some(id))
            && self.since.is_none_or(|since| event.time >= since)
    }
}

/// A place between events: those before it happened earlier, or have a smaller id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventPosition {
    pub(crate) time: Timestamp,
    pub(crate) id: Uuid,
}

impl EventPosition {
    /// After all that happened before this instant, or after everything.
    pub(crate) fn end(until: Option<Timestamp>) -> Self {
        match until {
            Some(time) => Self { time, id: Uuid::nil() },
            None => Self { time: Timestamp::from_unix_millis(i64::MAX), id: Uuid::max() },
        }
    }
}

const DEFAULT_PAGE_SIZE: u32 = 50;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_size_is_clamped_and_never_negative() {
        for (asked, given) in [(0, 50), (1, 1), (500, 500), (501, 500), (i32::MAX, 500)] {
            assert_eq!(page_size(asked, 500), Ok(given), "{asked}");
        }
        for asked in [-1, i32::MIN] {
            assert!(page_size(asked, 500).is_err(), "{asked}");
        }
    }

    #[test]
    fn what_no_name_begins_with_is_refused() {
        for prefix in ["", "a", "Ada.", "ada@", "0", &"a".repeat(64)] {
            assert!(NameRange::beginning_with(prefix).is_ok(), "{prefix}");
        }
        for prefix in [".", "ada lovelace", "ä", "ada%", "\u{0}", &"a".repeat(65)] {
            assert!(NameRange::beginning_with(prefix).is_err(), "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn a_range_holds_the_names_that_begin_so(
            name in "[a-zA-Z0-9]([a-zA-Z0-9._@+-]{0,6}[a-zA-Z0-9])?",
            prefix in "[a-zA-Z0-9]?[a-zA-Z0-9._@+-]{0,2}",
            last in "[a-z0-9]([a-z0-9._@+-]{0,6}[a-z0-9])?",
        ) {
            let key = Username::parse(&name).unwrap().key();
            if let Ok(range) = NameRange::beginning_with(&prefix) {
                let within = |range: &NameRange| range.from <= key && key < range.to;
                let begins = key.starts_with(&prefix.to_ascii_lowercase());
                prop_assert_eq!(within(&range), begins);
                prop_assert_eq!(within(&range.after(&last)) , key > last && key < format!("{}\u{7f}", prefix.to_ascii_lowercase()));
            }
        }
    }
}
