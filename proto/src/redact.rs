//! `Debug` for the messages that carry secrets: every field but those.

use std::fmt;

use crate::auth::v1::{
    ChangePasswordRequest, CreateServiceAccountResponse, CreateUserRequest, IntrospectTokenRequest,
    LoginRequest, LoginServiceRequest, LoginServiceResponse, RegisterRequest,
    RotateServiceSecretResponse, TokenPair,
};

/// Stands where a secret would.
const REDACTED: &str = "[redacted]";

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair")
            .field("access_token", &REDACTED)
            .field("refresh_token", &REDACTED)
            .field("token_type", &self.token_type)
            .field("access_expires_in", &self.access_expires_in)
            .field("refresh_expires_in", &self.refresh_expires_in)
            .field("refresh_after", &self.refresh_after)
            .field("session_id", &self.session_id)
            .finish()
    }
}

impl fmt::Debug for RegisterRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterRequest")
            .field("username", &self.username)
            .field("password", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for CreateUserRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUserRequest")
            .field("username", &self.username)
            .field("password", &REDACTED)
            .field("roles", &self.roles)
            .finish()
    }
}

impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest")
            .field("username", &self.username)
            .field("password", &REDACTED)
            .field("device_name", &self.device_name)
            .finish()
    }
}

impl fmt::Debug for ChangePasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangePasswordRequest")
            .field("old_password", &REDACTED)
            .field("new_password", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for LoginServiceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginServiceRequest")
            .field("client_id", &self.client_id)
            .field("client_secret", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for LoginServiceResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginServiceResponse")
            .field("access_token", &REDACTED)
            .field("token_type", &self.token_type)
            .field("access_expires_in", &self.access_expires_in)
            .field("refresh_after", &self.refresh_after)
            .finish()
    }
}

impl fmt::Debug for IntrospectTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectTokenRequest").field("token", &REDACTED).finish()
    }
}

impl fmt::Debug for CreateServiceAccountResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateServiceAccountResponse")
            .field("client_id", &self.client_id)
            .field("client_secret", &REDACTED)
            .finish()
    }
}

impl fmt::Debug for RotateServiceSecretResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotateServiceSecretResponse").field("client_secret", &REDACTED).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t-value";

    fn assert_hidden(message: &impl fmt::Debug) {
        let shown = format!("{message:?} {message:#?}");
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains(REDACTED), "{shown}");
    }

    #[test]
    fn debug_never_shows_a_secret() {
        let secret = || SECRET.to_owned();
        assert_hidden(&TokenPair {
            access_token: secret(),
            refresh_token: secret(),
            ..TokenPair::default()
        });
        assert_hidden(&RegisterRequest { password: secret(), ..Default::default() });
        assert_hidden(&CreateUserRequest { password: secret(), ..Default::default() });
        assert_hidden(&LoginRequest { password: secret(), ..Default::default() });
        assert_hidden(&ChangePasswordRequest { old_password: secret(), new_password: secret() });
        assert_hidden(&LoginServiceRequest { client_secret: secret(), ..Default::default() });
        assert_hidden(&LoginServiceResponse { access_token: secret(), ..Default::default() });
        assert_hidden(&IntrospectTokenRequest { token: secret() });
        assert_hidden(&CreateServiceAccountResponse {
            client_secret: secret(),
            ..Default::default()
        });
        assert_hidden(&RotateServiceSecretResponse { client_secret: secret() });
    }
}
