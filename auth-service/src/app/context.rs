//! What every use case works with.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use token::{
    AccessClaims, KeyDigest, Kind, Nonce, RefreshClaims, SigningKey, Verifier, VerifyError,
    clock::{Clock, Timestamp},
    entropy::Entropy,
};
use transport::page_token::PageTokens;

use crate::{
    app::{
        audit::{Administrator, AuditLog, Origin},
        error::AppError,
        limits::Limits,
        master_keys::MasterKeys,
        meters::Meters,
        passwords::Passwords,
        revocations::Feed,
        signing_keys::SigningKeys,
    },
    domain::{
        audit::{AuditEvent, EventKind},
        id::{SessionId, UserId, new_v7},
        policy::Policy,
        session::NewSession,
        user::Grants,
    },
    storage::store::Store,
};

/// The service without its transport.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) master: MasterKeys,
    pub(crate) keys: SigningKeys,
    pub(crate) verifier: Verifier,
    pub(crate) passwords: Passwords,
    pub(crate) page_tokens: PageTokens,
    pub(crate) limits: Limits,
    pub(crate) audit: AuditLog,
    pub(crate) revocations: Feed,
    pub(crate) meters: Meters,
    pub(crate) policy: Policy,
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

/// A pair of tokens as it leaves the service.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: SecretString,
    pub(crate) access_expires_in: Duration,
    pub(crate) refresh_expires_in: Duration,
    pub(crate) refresh_after: Duration,
}

/// The newest token of a session, from which a pair is issued.
#[derive(Clone, Debug)]
pub(super) struct Tip<'a> {
    pub(super) session: SessionId,
    pub(super) user: UserId,
    pub(super) grants: &'a Grants,
    pub(super) generation: u64,
    pub(super) nonce: Nonce,
    pub(super) auth_time: Timestamp,
    pub(super) rotated_at: Timestamp,
    pub(super) idle_until: Timestamp,
    pub(super) absolute_until: Timestamp,
    pub(super) bound_to: Option<KeyDigest>,
}

impl App {
    /// What a good access token says, whatever has become of its session.
    pub(super) fn verify_access_token(&self, token: &str) -> Result<AccessClaims, AppError> {
        self.verifier.verify(token, &self.keys.trusted(), self.clock.now()).map_err(|error| {
            match error {
                VerifyError::Expired => AppError::AccessTokenExpired,
                _ => AppError::AccessTokenInvalid,
            }
        })
    }

    /// An event of now; whoever makes it says whom it is about.
    pub(super) fn event(&self, kind: EventKind, origin: Origin) -> AuditEvent {
        let now = self.clock.now();
        AuditEvent {
            id: self.audit.next_id(now, &*self.entropy),
            time: now,
            kind,
            account: None,
            actor: None,
            session: None,
            address: origin.address,
            device: String::new(),
            detail: String::new(),
        }
    }

    /// An event of now that an administrator brings about.
    pub(super) fn event_by(&self, by: Administrator, kind: EventKind) -> AuditEvent {
        AuditEvent { actor: Some(by.actor), ..self.event(kind, by.origin) }
    }

    /// A session that is about to begin.
    pub(super) fn new_session(&self, user: UserId, device_name: String) -> NewSession {
        let now = self.clock.now();
        let lifetimes = &self.policy.lifetimes;
        NewSession {
            id: SessionId::generate(now, &*self.entropy),
            user,
            device_name,
            create_time: now,
            auth_time: now.floor_to_second(),
            nonce: Nonce::random(&*self.entropy),
            idle_until: now + lifetimes.idle,
            // To the second, since that is what the token's `exp` can say.
            absolute_until: (now + lifetimes.absolute).floor_to_second(),
        }
    }

    /// The first pair of a new session, which began at `origin`.
    pub(super) fn issue_first(
        &self,
        signer: &SigningKey,
        session: &NewSession,
        grants: &Grants,
        origin: Origin,
    ) -> Issued {
        self.issue(
            signer,
            &Tip {
                session: session.id,
                user: session.user,
                grants,
                generation: 0,
                nonce: session.nonce,
                auth_time: session.auth_time,
                rotated_at: session.create_time,
                idle_until: session.idle_until,
                absolute_until: session.absolute_until,
                bound_to: origin.key.filter(|_| self.policy.bind_sessions),
            },
            session.create_time,
        )
    }

    /// The pair of a session's newest token. The refresh token depends on the tip alone, so asking
    /// again gives the same one; the access token is fresh.
    pub(super) fn issue(&self, signer: &SigningKey, tip: &Tip<'_>, now: Timestamp) -> Issued {
        let ends = tip.idle_until.min(tip.absolute_until);
        // An access token does not outlive its session, or a session's end would mean nothing to
        // those who verify alone.
        let access_expires_in = self.policy.lifetimes.access.min(ends.saturating_since(now));
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: tip.user.to_string(),
            client_id: CLIENT_ID.to_owned(),
            sid: tip.session.to_string(),
            jti: new_v7(now, &*self.entropy).to_string(),
            iat: now.unix_seconds(),
            exp: (now + access_expires_in).unix_seconds(),
            roles: tip.grants.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            kind: Kind::User,
            roles_version: tip.grants.version,
        };
        let refresh_token = self.master.ring().sign_refresh_token(&RefreshClaims {
            session: tip.session.0,
            user: tip.user.0,
            generation: tip.generation,
            nonce: tip.nonce,
            auth_time: tip.auth_time,
            issued_at: tip.rotated_at,
            expires_at: tip.absolute_until,
            bound_to: tip.bound_to,
        });
        Issued {
            user: tip.user,
            session: tip.session,
            access_token: signer.sign(&claims).into(),
            refresh_token: refresh_token.into(),
            access_expires_in,
            refresh_expires_in: ends.saturating_since(now),
            refresh_after: self
                .policy
                .lifetimes
                .refresh_after(self.entropy.unit())
                .min(access_expires_in),
        }
    }
}

/// Users' sessions belong to the one first-party client (RFC 9068 requires the claim).
pub(super) const CLIENT_ID: &str = "evergreen";
