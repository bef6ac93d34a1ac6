//! Nonces of refresh tokens.

use std::fmt;

use crate::entropy::Entropy;

/// What tells one refresh token of a generation from another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// The nonce of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A nonce that nobody can derive, for a client that names no attempt.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(entropy.array())
    }

    /// Its bytes, for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The first half of an HMAC-SHA256 tag (RFC 2104 section 5 allows truncation to half).
    pub(crate) fn from_tag(tag: &[u8]) -> Self {
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&tag[..16]);
        Self(nonce)
    }
}

impl fmt::Debug for Nonce {
    /// A nonce is half of a token's secret, so it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce([redacted])")
    }
}
