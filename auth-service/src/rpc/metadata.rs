//! What travels in the metadata: tokens, idempotency keys, flags.

use std::time::Duration;

use evergreen_proto::reason;
use token::{
    KeyDigest,
    bearer::{BearerError, bearer_token},
    clock::Timestamp,
};
use tonic::{Request, Status};
use transport::{
    deadline::Deadline,
    status::{argument_invalid, unauthenticated},
    tls::Certificate,
};

use crate::app::{IdempotencyKey, Origin};

/// The access token of a request.
pub(super) fn access_token<T>(request: &Request<T>) -> Result<&str, Status> {
    bearer(request).map_err(|error| match error {
        BearerError::Missing => unauthenticated(reason::ACCESS_TOKEN_MISSING, error.to_string()),
        _ => unauthenticated(reason::ACCESS_TOKEN_INVALID, error.to_string()),
    })
}

/// The refresh token of a request.
pub(super) fn refresh_token<T>(request: &Request<T>) -> Result<&str, Status> {
    bearer(request).map_err(|error| match error {
        BearerError::Missing => unauthenticated(reason::REFRESH_TOKEN_MISSING, error.to_string()),
        _ => unauthenticated(reason::REFRESH_TOKEN_INVALID, error.to_string()),
    })
}

/// The key that names this attempt, if the client names it.
pub(super) fn idempotency_key<T>(request: &Request<T>) -> Result<Option<IdempotencyKey>, Status> {
    let mut values = request.metadata().get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(argument_invalid(
            reason::IDEMPOTENCY_KEY_INVALID,
            "idempotency-key",
            "must be sent once: which of two names the attempt?",
        ));
    }
    Ok(Some(IdempotencyKey::parse(value.as_bytes()).map_err(super::status::to_status)?))
}

/// Whether the client says that it was told REFRESH_SUPERSEDED and found nothing newer.
pub(super) fn after_superseded<T>(request: &Request<T>) -> Result<bool, Status> {
    let values: Vec<_> = request
        .metadata()
        .get_all("after-superseded")
        .iter()
        .map(tonic::metadata::MetadataValue::as_bytes)
        .collect();
    match values.as_slice() {
        [] | [b"0"] => Ok(false),
        [b"1"] => Ok(true),
        _ => Err(argument_invalid(
            reason::AFTER_SUPERSEDED_INVALID,
            "after-superseded",
            "must be 1, or be left out",
        )),
    }
}

/// When this request's life ends. The transport sets it; without it, as in a test that calls the
/// handler directly, the longest life counts.
pub(super) fn deadline<T>(request: &Request<T>, now: Timestamp, life: Duration) -> Deadline {
    request.extensions().get().copied().unwrap_or(Deadline(now + life))
}

/// Where a request came from; not known to a test that calls the handler directly.
pub(super) fn origin<T>(request: &Request<T>) -> Origin {
    Origin {
        address: request.remote_addr().map(|address| address.ip().to_canonical()),
        key: proved_key(request),
    }
}

/// The key that the client has proved by a certificate, in the handshake of the connection.
fn proved_key<T>(request: &Request<T>) -> Option<KeyDigest> {
    let shown = request.peer_certs()?;
    Certificate::parse(shown.first()?).map(|certificate| certificate.key_digest())
}

fn bearer<T>(request: &Request<T>) -> Result<&str, BearerError> {
    bearer_token(
        request
            .metadata()
            .get_all("authorization")
            .iter()
            .map(tonic::metadata::MetadataValue::as_bytes),
    )
}
