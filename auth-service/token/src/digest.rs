//! A name for a token that says nothing of it.

use std::fmt;

use aws_lc_rs::digest;

/// The SHA-256 of a token: what a cache may keep in the token's stead.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of `token`.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// A number that is as evenly spread as the whole: for picking one of several tables.
    #[must_use]
    pub fn number(&self) -> usize {
        self.0.iter().fold(0, |number, &byte| (number << 8) | usize::from(byte))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest")
    }
}
