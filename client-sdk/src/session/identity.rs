//! Who a session speaks for.

/// Who the token service says an access token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The user's id.
    pub user_id: String,
    /// The user's name.
    pub username: String,
    /// The user's roles as they are now.
    pub roles: Vec<String>,
    /// The session that asked.
    pub session_id: String,
}
