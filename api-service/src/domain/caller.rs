//! Who calls, as far as this service cares.

/// What a caller may do; each role may do all that the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Viewer,
    Editor,
    Admin,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user_id: String,
    /// The highest role held; `None` for a token without a role that this service knows.
    pub(crate) role: Option<Role>,
}

impl Caller {
    pub(crate) fn new<'a>(
        user_id: impl Into<String>,
        roles: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self { user_id: user_id.into(), role: roles.into_iter().filter_map(Role::named).max() }
    }
}

impl Role {
    fn named(name: &str) -> Option<Self> {
        match name {
            "viewer" => Some(Self::Viewer),
            "editor" => Some(Self::Editor),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}
