//! Sessions that belong to a key.

use token::RefreshClaims;

use crate::{
    app::{audit::Origin, context::App, error::AppError},
    domain::{
        audit::EventKind,
        id::{SessionId, UserId},
    },
};

impl App {
    /// Refuses a token that is bound to a key which the client has not proved. Nothing is spent and
    /// nothing ends: whoever has but the token must not be able to log its owner out.
    ///
    /// The token itself says what it is bound to, in every generation alike, so that this costs no
    /// reading, and a database that has forgotten the session takes nothing from it.
    pub(super) fn check_binding(
        &self,
        claims: &RefreshClaims,
        origin: Origin,
    ) -> Result<(), AppError> {
        let Some(bound_to) = claims.bound_to.filter(|key| origin.key != Some(*key)) else {
            return Ok(());
        };
        self.limit_mismatch(SessionId(claims.session), origin)?;
        let shown = match origin.key {
            Some(key) => format!("key {}", key.encode()),
            None => "no certificate".to_owned(),
        };
        let event = self.event(EventKind::RefreshCertificateMismatch, origin);
        let event = event.of(UserId(claims.user)).of_session(SessionId(claims.session));
        self.audit.record(event.detailed(format!("{shown}; bound to {}", bound_to.encode())));
        Err(AppError::CertificateMismatch)
    }
}
