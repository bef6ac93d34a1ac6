//! Making tokens in the JWS compact serialization (RFC 7515 section 7.1).
//!
//! A key's header is the same in every token that it signs, so it is encoded once. The headers
//! of other parties' tokens are read by `jsonwebtoken`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;

/// The `typ` of a refresh token, so that neither kind can pass for the other (RFC 8725 section
/// 3.11).
pub(crate) const REFRESH_TYPE: &str = "rt+jwt";

/// The first part of every token of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedHeader(String);

impl EncodedHeader {
    pub(crate) fn new(algorithm: Algorithm, kind: &str, kid: &str) -> Self {
        let mut header = Header::new(algorithm);
        header.typ = Some(kind.to_owned());
        header.kid = Some(kid.to_owned());
        let json = serde_json::to_vec(&header).expect("a header is strings");
        Self(BASE64_URL_SAFE_NO_PAD.encode(json))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The token of these claims; `sign` is given what is to be signed (RFC 7515 section 5.1).
    pub(crate) fn token<S: AsRef<[u8]>>(
        &self,
        claims: &impl Serialize,
        sign: impl FnOnce(&[u8]) -> S,
    ) -> String {
        let json = serde_json::to_vec(claims).expect("claims are plain strings and numbers");
        // Four characters for three bytes, and no signature of ours is longer than 64 bytes.
        let mut token = String::with_capacity(self.0.len() + json.len().div_ceil(3) * 4 + 90);
        token.push_str(&self.0);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(json, &mut token);
        let signature = sign(token.as_bytes());
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }
}
