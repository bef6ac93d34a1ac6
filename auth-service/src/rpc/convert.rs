//! Between the messages of the contract and the types of the use cases.

use std::time::Duration;

use evergreen_proto::auth::v1::{self as pb, signing_key::State};
use secrecy::ExposeSecret as _;
use token::{Kind, PublicKey, clock::Timestamp};

use crate::{
    app::{Active, CurrentUser, Issued, IssuedToService, Page, TokenType},
    domain::{
        audit::AuditEvent,
        id::{AccountId, SessionId},
        listing::UserSummary,
        session::Session,
        signing_keys::KeyState,
        user::{Role, Status},
    },
    storage::store::StoredKey,
};

pub(super) fn token_pair(issued: &Issued) -> pb::TokenPair {
    pb::TokenPair {
        access_token: issued.access_token.expose_secret().to_owned(),
        refresh_token: issued.refresh_token.expose_secret().to_owned(),
        token_type: "Bearer".into(),
        access_expires_in: Some(duration(issued.access_expires_in)),
        refresh_expires_in: Some(duration(issued.refresh_expires_in)),
        refresh_after: Some(duration(issued.refresh_after)),
        session_id: issued.session.to_string(),
    }
}

pub(super) fn service_token(issued: &IssuedToService) -> pb::LoginServiceResponse {
    pb::LoginServiceResponse {
        access_token: issued.access_token.expose_secret().to_owned(),
        token_type: "Bearer".into(),
        access_expires_in: Some(duration(issued.access_expires_in)),
        refresh_after: Some(duration(issued.refresh_after)),
    }
}

/// In the terms of RFC 7662 section 2.2.
pub(super) fn introspected(active: Active) -> pb::IntrospectTokenResponse {
    let common = pb::IntrospectTokenResponse {
        active: true,
        sub: active.subject,
        username: active.username.unwrap_or_default(),
        client_id: active.client_id,
        session_id: active.session_id,
        roles: role_names(&active.roles),
        kind: if active.kind == Kind::Service { "service" } else { "user" }.into(),
        iat: Some(timestamp(active.issued_at)),
        exp: Some(timestamp(active.expires_at)),
        ..Default::default()
    };
    match active.token {
        TokenType::Access { issuer, audience, id } => pb::IntrospectTokenResponse {
            token_type: "Bearer".into(),
            iss: issuer,
            aud: vec![audience],
            jti: id,
            ..common
        },
        TokenType::Refresh => {
            pb::IntrospectTokenResponse { token_type: "refresh_token".into(), ..common }
        }
    }
}

pub(super) fn current_user(current: CurrentUser) -> pb::GetCurrentUserResponse {
    pb::GetCurrentUserResponse {
        user: Some(pb::User {
            user_id: current.user.to_string(),
            username: current.username,
            roles: role_names(&current.roles),
            create_time: Some(timestamp(current.create_time)),
        }),
        session_id: current.session.to_string(),
    }
}

pub(super) fn session_page(page: Page<Session>, current: SessionId) -> pb::ListSessionsResponse {
    pb::ListSessionsResponse {
        sessions: page.items.into_iter().map(|session| shown(session, current)).collect(),
        next_page_token: page.next_token,
    }
}

pub(crate) fn jwks(keys: &[PublicKey], max_age: Duration) -> pb::GetJwksResponse {
    pb::GetJwksResponse {
        keys: keys
            .iter()
            .map(|key| pb::JsonWebKey {
                kty: "OKP".into(),
                crv: "Ed25519".into(),
                alg: "EdDSA".into(),
                r#use: "sig".into(),
                kid: key.kid().to_owned(),
                x: key.x(),
            })
            .collect(),
        max_age: Some(duration(max_age)),
    }
}

fn role_names(roles: &[Role]) -> Vec<String> {
    roles.iter().map(|role| role.as_str().to_owned()).collect()
}

pub(super) fn signing_key(stored: StoredKey) -> pb::SigningKey {
    let state = match stored.state {
        KeyState::Next => State::Next,
        KeyState::Active => State::Active,
        KeyState::Retired => State::Retired,
    };
    pb::SigningKey {
        kid: stored.key.kid,
        state: state.into(),
        create_time: Some(timestamp(stored.create_time)),
        state_time: Some(timestamp(stored.state_time)),
    }
}

pub(super) fn user_account(user: UserSummary) -> pb::UserAccount {
    pb::UserAccount {
        user_id: user.id.to_string(),
        username: user.username,
        roles: role_names(&user.roles),
        disabled: user.status == Status::Disabled,
        create_time: Some(timestamp(user.create_time)),
    }
}

pub(super) fn audit_event(event: AuditEvent) -> pb::AuditEvent {
    pb::AuditEvent {
        event_id: event.id.to_string(),
        event_time: Some(timestamp(event.time)),
        kind: event.kind.as_str().into(),
        account_id: text(event.account.map(AccountId::uuid)),
        session_id: text(event.session),
        actor: text(event.actor),
        address: text(event.address),
        device_name: event.device,
        detail: event.detail,
    }
}

/// Empty for what there is not.
fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn shown(session: Session, current: SessionId) -> pb::Session {
    pb::Session {
        current: session.id == current,
        session_id: session.id.to_string(),
        device_name: session.device_name,
        create_time: Some(timestamp(session.create_time)),
        last_refresh_time: Some(timestamp(session.row.rotated_at)),
        expire_time: Some(timestamp(session.row.idle_until.min(session.row.absolute_until))),
    }
}

fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// `None` for one that is negative or malformed.
pub(super) fn std_duration(given: prost_types::Duration) -> Option<Duration> {
    let nanos = u32::try_from(given.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(given.seconds).ok()?, nanos))
}

/// The first millisecond that is not before it; `None` for one that is malformed.
pub(super) fn instant(given: prost_types::Timestamp) -> Option<Timestamp> {
    let nanos = u32::try_from(given.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let millis = i64::from(nanos.div_ceil(1_000_000));
    Some(Timestamp::from_unix_millis(given.seconds.checked_mul(1000)?.checked_add(millis)?))
}

pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.unix_millis().rem_euclid(1000);
    prost_types::Timestamp {
        seconds: at.unix_seconds(),
        nanos: i32::try_from(millis * 1_000_000).unwrap_or_default(),
    }
}
