//! Refresh tokens: JWTs with an HMAC, opaque to clients.

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock::Timestamp, digest::KeyDigest, error::RefreshTokenError, jws::REFRESH_TYPE, nonce::Nonce,
    ring::KeyRing, verifier::Verifier,
};

/// What a refresh token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshClaims {
    /// The session it keeps alive.
    pub session: Uuid,
    /// Whose session it is.
    pub user: Uuid,
    /// How many rotations came before it.
    pub generation: u64,
    /// Tells it from others of its generation.
    pub nonce: Nonce,
    /// When its holder last proved a password; to the second.
    pub auth_time: Timestamp,
    /// When it was minted; to the second.
    pub issued_at: Timestamp,
    /// The absolute end of the session, the same in every generation; to the second.
    pub expires_at: Timestamp,
    /// The key without which it is of no use, the same in every generation; `None` if whoever holds it
    /// may use it.
    pub bound_to: Option<KeyDigest>,
}

/// The claims as they stand in the JWT.
#[derive(Serialize, Deserialize)]
struct Encoded {
    sid: Uuid,
    sub: Uuid,
    r#gen: u64,
    non: String,
    auth_time: i64,
    iat: i64,
    exp: i64,
    /// What its holder must prove (RFC 7800). That of RFC 8705 names a certificate, and would end the
    /// session with it; this one names the key, which a renewed certificate may keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

#[derive(Serialize, Deserialize)]
struct Confirmation {
    #[serde(rename = "spki#S256")]
    public_key: String,
}

impl KeyRing {
    /// A refresh token with these claims. The same claims under the same ring give the same token.
    #[must_use]
    pub fn sign_refresh_token(&self, claims: &RefreshClaims) -> String {
        let key = self.signing();
        let encoded = Encoded {
            sid: claims.session,
            sub: claims.user,
            r#gen: claims.generation,
            non: BASE64_URL_SAFE_NO_PAD.encode(claims.nonce.as_bytes()),
            auth_time: claims.auth_time.unix_seconds(),
            iat: claims.issued_at.unix_seconds(),
            exp: claims.expires_at.unix_seconds(),
            cnf: claims.bound_to.map(|key| Confirmation { public_key: key.encode() }),
        };
        key.refresh_header.token(&encoded, |input| hmac::sign(&key.mac, input))
    }

    /// What a genuine refresh token says, whether or not it has run out: that is for the caller to
    /// judge, since a run-out token may still log out.
    ///
    /// # Errors
    ///
    /// [`RefreshTokenError::UnknownKey`] if it names a master key that this ring lacks;
    /// [`RefreshTokenError::Invalid`] if it is anything but a refresh token of this ring.
    pub fn verify_refresh_token(&self, token: &str) -> Result<RefreshClaims, RefreshTokenError> {
        let invalid = RefreshTokenError::Invalid;
        if token.len() > Verifier::MAX_TOKEN_BYTES {
            return Err(invalid);
        }
        let (input, tag) = token.rsplit_once('.').ok_or(invalid)?;
        let (header, payload) = input.split_once('.').ok_or(invalid)?;
        // A header of our making is one of few texts, so no algorithm is ever taken from a token.
        let key = self
            .iter()
            .find(|key| key.refresh_header.as_str() == header)
            .ok_or_else(|| self.why_unknown(token))?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).map_err(|_| invalid)?;
        hmac::verify(&key.mac, input.as_bytes(), &tag).map_err(|_| invalid)?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| invalid)?;
        let encoded: Encoded = serde_json::from_slice(&payload).map_err(|_| invalid)?;
        let nonce = BASE64_URL_SAFE_NO_PAD
            .decode(&encoded.non)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(invalid)?;
        // A binding that cannot be read must not be taken for none.
        let bound_to =
            encoded.cnf.map(|cnf| KeyDigest::decode(&cnf.public_key).ok_or(invalid)).transpose()?;
        Ok(RefreshClaims {
            session: encoded.sid,
            user: encoded.sub,
            generation: encoded.r#gen,
            nonce: Nonce::from_bytes(nonce),
            auth_time: Timestamp::from_unix_seconds(encoded.auth_time),
            issued_at: Timestamp::from_unix_seconds(encoded.iat),
            expires_at: Timestamp::from_unix_seconds(encoded.exp),
            bound_to,
        })
    }

    /// Whether a header that is none of ours would be one under a key that this ring lacks.
    fn why_unknown(&self, token: &str) -> RefreshTokenError {
        match jsonwebtoken::decode_header(token) {
            Ok(Header {
                typ: Some(typ),
                alg: Algorithm::HS256,
                kid: Some(kid),
                crit: None,
                ..
            }) if typ == REFRESH_TYPE && self.find(&kid).is_none() => RefreshTokenError::UnknownKey,
            _ => RefreshTokenError::Invalid,
        }
    }
}

/// Whether a token says of itself that it is a refresh token. Nothing is verified: it only tells
/// which check, and which error, is the fitting one.
#[must_use]
pub fn names_itself_refresh_token(token: &str) -> bool {
    token.len() <= Verifier::MAX_TOKEN_BYTES
        && jsonwebtoken::decode_header(token)
            .is_ok_and(|header| header.typ.as_deref() == Some(REFRESH_TYPE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{entropy::SeededEntropy, ring::MasterKey};

    fn ring(seed: u64) -> KeyRing {
        KeyRing::new(MasterKey::generate(&SeededEntropy::new(seed)))
    }

    fn claims() -> RefreshClaims {
        RefreshClaims {
            session: Uuid::from_u128(1),
            user: Uuid::from_u128(2),
            generation: 3,
            nonce: Nonce::from_bytes([4; 16]),
            auth_time: Timestamp::from_unix_seconds(5),
            issued_at: Timestamp::from_unix_seconds(6),
            expires_at: Timestamp::from_unix_seconds(7),
            bound_to: None,
        }
    }

    #[test]
    fn a_token_reads_back_what_was_signed_even_after_its_end() {
        let token = ring(1).sign_refresh_token(&claims());
        assert_eq!(ring(1).verify_refresh_token(&token), Ok(claims()));
    }

    #[test]
    fn a_binding_reads_back_and_a_token_without_one_does_not_speak_of_it() {
        let bound = RefreshClaims { bound_to: Some(KeyDigest::of(b"key")), ..claims() };
        let token = ring(1).sign_refresh_token(&bound);
        assert_eq!(ring(1).verify_refresh_token(&token), Ok(bound));
        let payload = |token: &str| {
            let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
            String::from_utf8(payload).unwrap()
        };
        assert!(payload(&token).contains(r#""cnf":{"spki#S256":""#));
        assert!(!payload(&ring(1).sign_refresh_token(&claims())).contains("cnf"));
    }

    #[test]
    fn the_same_claims_give_the_same_token() {
        let again = ring(1).sign_refresh_token(&claims());
        assert_eq!(ring(1).sign_refresh_token(&claims()), again);
    }

    #[test]
    fn another_ring_does_not_know_the_key() {
        let token = ring(1).sign_refresh_token(&claims());
        assert_eq!(ring(2).verify_refresh_token(&token), Err(RefreshTokenError::UnknownKey));
    }

    #[test]
    fn an_altered_claim_is_refused() {
        let token = ring(1).sign_refresh_token(&claims());
        let [header, payload, tag]: [&str; 3] =
            token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
        let altered = String::from_utf8(payload).unwrap().replace(r#""gen":3"#, r#""gen":4"#);
        let forged = format!("{header}.{}.{tag}", BASE64_URL_SAFE_NO_PAD.encode(altered));
        assert_eq!(ring(1).verify_refresh_token(&forged), Err(RefreshTokenError::Invalid));
    }

    proptest! {
        #[test]
        fn no_text_and_no_cut_of_a_token_is_accepted(text in "\\PC{0,200}", cut in 0_usize..400) {
            prop_assert!(ring(1).verify_refresh_token(&text).is_err());
            let token = ring(1).sign_refresh_token(&claims());
            if cut < token.len() {
                prop_assert!(ring(1).verify_refresh_token(&token[..cut]).is_err());
            }
        }
    }
}
