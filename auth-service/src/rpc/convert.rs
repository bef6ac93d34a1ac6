//! Between the messages of the contract and the types of the use cases.

use std::time::Duration;

use evergreen_proto::auth::v1::{self as pb};
use secrecy::ExposeSecret as _;
use token::{PublicKey, clock::Timestamp};

use crate::{
    app::{CurrentUser, Issued, SessionPage},
    domain::{id::SessionId, session::Session},
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

pub(super) fn current_user(current: CurrentUser) -> pb::GetCurrentUserResponse {
    pb::GetCurrentUserResponse {
        user: Some(pb::User {
            user_id: current.user.to_string(),
            username: current.username,
            roles: current.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            create_time: Some(timestamp(current.create_time)),
        }),
        session_id: current.session.to_string(),
    }
}

pub(super) fn session_page(page: SessionPage, current: SessionId) -> pb::ListSessionsResponse {
    pb::ListSessionsResponse {
        sessions: page.sessions.into_iter().map(|session| shown(session, current)).collect(),
        next_page_token: page.next_page_token,
    }
}

pub(super) fn jwks(keys: &[PublicKey], max_age: Duration) -> pb::GetJwksResponse {
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

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.unix_millis().rem_euclid(1000);
    prost_types::Timestamp {
        seconds: at.unix_seconds(),
        nanos: i32::try_from(millis * 1_000_000).unwrap_or_default(),
    }
}
