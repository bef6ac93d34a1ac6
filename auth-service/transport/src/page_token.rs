//! Page tokens: where a list goes on, for the one who asked, and with the filters that were asked.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// A text that is no page token of this list.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the page token is not one of this list")]
pub struct PageTokenInvalid;

/// Seals and opens page tokens: a key in a list, then a MAC over it and over its scope, which is the
/// RPC, the caller and the filters. The scope is not in the token, only in its MAC.
///
/// A token is no secret: whoever has one can read the key in it, but make no other.
///
/// ```
/// use transport::page_token::{PageTokenInvalid, PageTokens};
///
/// let tokens = PageTokens::new(&[7; 32]);
/// let token = tokens.seal(&("ListTrees", "ada"), &"the last one's key");
/// let after: Option<String> = tokens.open(&("ListTrees", "ada"), &token)?;
/// assert_eq!(after.as_deref(), Some("the last one's key"));
/// assert_eq!(tokens.open::<String>(&("ListTrees", "eve"), &token), Err(PageTokenInvalid));
/// # Ok::<(), PageTokenInvalid>(())
/// ```
#[derive(Clone)]
pub struct PageTokens(hmac::Key);

impl PageTokens {
    /// Longer than any token that was ever given out; nothing longer is looked at.
    const MOST_BYTES: usize = 2_048;
    const MAC_BYTES: usize = 32;

    /// Those of this key, which all instances of a service share.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The token that names `key` in this scope.
    ///
    /// # Panics
    ///
    /// If either cannot be written as JSON, as tuples of plain values always can.
    pub fn seal(&self, scope: &impl Serialize, key: &impl Serialize) -> String {
        let mut token = json(key);
        let mac = hmac::sign(&self.0, &message(scope, &token));
        token.extend_from_slice(mac.as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    /// The key in a token of this scope; `None` for the first page.
    ///
    /// # Errors
    ///
    /// [`PageTokenInvalid`]: it was sealed with another key, in another scope, or not at all.
    ///
    /// # Panics
    ///
    /// As [`PageTokens::seal`].
    pub fn open<K: DeserializeOwned>(
        &self,
        scope: &impl Serialize,
        token: &str,
    ) -> Result<Option<K>, PageTokenInvalid> {
        if token.is_empty() {
            return Ok(None);
        }
        if token.len() > Self::MOST_BYTES {
            return Err(PageTokenInvalid);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| PageTokenInvalid)?;
        let (key, mac) = bytes
            .len()
            .checked_sub(Self::MAC_BYTES)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or(PageTokenInvalid)?;
        hmac::verify(&self.0, &message(scope, key), mac).map_err(|_| PageTokenInvalid)?;
        // Sealed here, but perhaps by a version that wrote keys differently.
        serde_json::from_slice(key).map(Some).map_err(|_| PageTokenInvalid)
    }

    /// Whether a text could be a token that some key of some database has sealed.
    #[must_use]
    pub fn looks_like_one(&self, text: &str) -> bool {
        text.len() <= Self::MOST_BYTES
            && BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() > Self::MAC_BYTES)
    }
}

impl fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageTokens").finish_non_exhaustive()
    }
}

/// Scope and key with the scope's length before them, so that nothing can move from one into the
/// other.
fn message(scope: &impl Serialize, key: &[u8]) -> Vec<u8> {
    let scope = json(scope);
    let mut message = (scope.len() as u64).to_be_bytes().to_vec();
    message.extend_from_slice(&scope);
    message.extend_from_slice(key);
    message
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("keys and scopes are tuples of plain values")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCOPE: (&str, &str) = ("ListTrees", "ada");

    fn tokens() -> PageTokens {
        PageTokens::new(&[7; 32])
    }

    fn open(scope: (&str, &str), token: &str) -> Result<Option<(i64, String)>, PageTokenInvalid> {
        tokens().open(&scope, token)
    }

    #[test]
    fn a_token_opens_in_its_own_scope_alone() {
        let token = tokens().seal(&SCOPE, &(5_i64, "name"));
        assert_eq!(open(SCOPE, &token).unwrap(), Some((5, "name".to_owned())));
        assert_eq!(open(SCOPE, "").unwrap(), None);
        for other in [("ListFolders", "ada"), ("ListTrees", "eve"), ("ListTrees", "")] {
            assert!(matches!(open(other, &token), Err(PageTokenInvalid)), "{other:?}");
        }
        let elsewhere = PageTokens::new(&[8; 32]).seal(&SCOPE, &(5_i64, "name"));
        assert!(matches!(open(SCOPE, &elsewhere), Err(PageTokenInvalid)));
    }

    proptest! {
        #[test]
        fn no_other_text_opens(
            text in "[A-Za-z0-9_=+/-]{1,120}",
            flip in 0_usize..1_000,
        ) {
            prop_assert!(open(SCOPE, &text).is_err());
            let token = tokens().seal(&SCOPE, &(5_i64, "name"));
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
            let bit = flip % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(SCOPE, &BASE64_URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }
    }

    #[test]
    fn a_huge_token_is_not_even_decoded() {
        assert!(open(SCOPE, &"A".repeat(1 << 20)).is_err());
    }
}
