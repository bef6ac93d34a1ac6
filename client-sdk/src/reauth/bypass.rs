//! The calls that the layer leaves alone.

use http::{HeaderMap, header::AUTHORIZATION};

/// Whether the call is one of AuthService's own token RPCs, which prove who asks by what they carry
/// and would recurse into the refresh.
pub(super) fn is_token_rpc(path: &str) -> bool {
    path.strip_prefix("/evergreen.auth.v1.AuthService/").is_some_and(|method| {
        matches!(method, "GetJwks" | "Login" | "LoginService" | "Logout" | "Refresh" | "Register")
    })
}

/// Whether the caller authenticates the call itself.
pub(super) fn has_own_authorization(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_token_rpcs_bypass() {
        assert!(is_token_rpc("/evergreen.auth.v1.AuthService/Refresh"));
        assert!(!is_token_rpc("/evergreen.auth.v1.AuthService/ListSessions"));
        assert!(!is_token_rpc("/evergreen.auth.v1.AuthService/RefreshX"));
        assert!(!is_token_rpc("/other.AuthService/Refresh"));
    }
}
