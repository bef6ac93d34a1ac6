//! Why a token or a key was not accepted. No variant holds any part of a token.

use thiserror::Error;

/// A key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The ring's text holds no key.
    #[error("the key ring is empty: it needs one master key a line, 32 bytes in base64url")]
    EmptyRing,
    /// A line of the ring's text is not a key.
    #[error("line {line} of the key ring is not a master key: expected 32 bytes in base64url")]
    MalformedRing {
        /// Counted from 1.
        line: usize,
    },
    /// A public key or its name has not the expected form.
    #[error("a public key is malformed: expected kty OKP, crv Ed25519 and 32 bytes in base64url")]
    MalformedPublicKey,
    /// A stored secret was not sealed by this ring, or has been altered.
    #[error(
        "a stored key cannot be unsealed: the master key that sealed it is not in the ring, or the record was altered"
    )]
    Unseal,
}

/// Why an access token was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It was good once.
    #[error("the access token has expired")]
    Expired,
    /// It was never good here: malformed, forged, of another kind, issuer or audience.
    #[error("the access token is not valid")]
    Invalid,
    /// Its `kid` names no key in the set: forged, or signed by a key not fetched yet.
    #[error("the access token names a signing key that is not known")]
    UnknownKey,
}

/// Why a refresh token was refused, before any look at the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RefreshTokenError {
    /// Malformed, forged, or of another kind.
    #[error("the refresh token is not valid")]
    Invalid,
    /// Its `kid` names no key in the ring: forged, or made under a key this instance has not read.
    #[error("the refresh token names a master key that is not in the ring")]
    UnknownKey,
}
