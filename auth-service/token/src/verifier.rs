//! The public half of an access token: checking one (RFC 8725, RFC 9068 section 4).

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;

use crate::{
    claims::AccessClaims,
    clock::Timestamp,
    error::VerifyError,
    jws::EncodedHeader,
    signer::{ACCESS_TYPE, PublicKey},
};

/// The public keys that a verifier trusts, by `kid`.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: HashMap<String, ParsedPublicKey>,
    /// The `kid` of the header that a signer of ours writes: what is in here need not be decoded.
    headers: HashMap<String, String>,
}

impl KeySet {
    /// Whether it trusts a key of this name.
    #[must_use]
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// Whether it trusts no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key that `token` asks for in `header`, its first part.
    fn key(&self, token: &str, header: &str) -> Result<&ParsedPublicKey, VerifyError> {
        if let Some(kid) = self.headers.get(header) {
            return self.keys.get(kid).ok_or(VerifyError::UnknownKey);
        }
        let kid = kid_of(token).ok_or(VerifyError::Invalid)?;
        self.keys.get(&kid).ok_or(VerifyError::UnknownKey)
    }
}

impl FromIterator<PublicKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let mut set = Self::default();
        for key in keys {
            let kid = key.kid().to_owned();
            let header = EncodedHeader::new(Algorithm::EdDSA, ACCESS_TYPE, &kid);
            set.headers.insert(header.as_str().to_owned(), kid.clone());
            let key = ParsedPublicKey::new(&ED25519, key.bytes());
            set.keys
                .insert(kid, key.expect("32 bytes are an Ed25519 public key, be it one or not"));
        }
        set
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// Checks access tokens of one issuer for one audience.
///
/// It accepts Ed25519 signatures alone, whatever a token's header asks for; `typ` must be `at+jwt`;
/// `iss`, `aud` and `exp` must be there and be right; a header with `crit` is refused. It does not
/// know which sessions have been revoked.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuer: Arc<str>,
    audience: Arc<str>,
}

impl Verifier {
    /// How much later than `exp` a token is still taken, for clocks that differ a little.
    pub const LEEWAY: Duration = Duration::from_secs(2);

    /// The longest token that is looked at; ours have about 600 bytes.
    pub const MAX_TOKEN_BYTES: usize = 12 * 1024;

    /// A verifier of `issuer`'s tokens for `audience`.
    #[must_use]
    pub fn new(issuer: &str, audience: &str) -> Self {
        Self { issuer: issuer.into(), audience: audience.into() }
    }

    /// What a good token says.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Expired`] for a token that was good until at least [`Self::LEEWAY`] before
    /// `now`; [`VerifyError::UnknownKey`] if `keys` lacks the key it names;
    /// [`VerifyError::Invalid`] for everything else.
    pub fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<AccessClaims, VerifyError> {
        if token.len() > Self::MAX_TOKEN_BYTES {
            return Err(VerifyError::Invalid);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(VerifyError::Invalid)?;
        let (header, payload) = message.split_once('.').ok_or(VerifyError::Invalid)?;
        let key = keys.key(token, header)?;
        let mut bytes = [0; SIGNATURE_ROOM];
        let length = BASE64_URL_SAFE_NO_PAD
            .decode_slice(signature, &mut bytes)
            .map_err(|_| VerifyError::Invalid)?;
        key.verify_sig(message.as_bytes(), &bytes[..length]).map_err(|_| VerifyError::Invalid)?;
        // Read once and only now: nothing that is not signed is parsed beyond its header, and the
        // library would read the claims a second time to judge them.
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| VerifyError::Invalid)?;
        let claims: AccessClaims =
            serde_json::from_slice(&payload).map_err(|_| VerifyError::Invalid)?;
        if *claims.iss != *self.issuer || *claims.aud != *self.audience {
            return Err(VerifyError::Invalid);
        }
        if now >= claims.expires_at() + Self::LEEWAY {
            return Err(VerifyError::Expired);
        }
        Ok(claims)
    }
}

/// An Ed25519 signature has 64 bytes, and base64 is decoded in threes.
const SIGNATURE_ROOM: usize = 66;

/// The `kid` of an access token, whoever wrote its header.
fn kid_of(token: &str) -> Option<String> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    // A type is compared without regard to case, and may be written with its prefix (RFC 7515
    // section 4.1.9).
    let typ = header.typ.as_deref().unwrap_or_default();
    let typ = typ.strip_prefix("application/").unwrap_or(typ);
    let right = typ.eq_ignore_ascii_case(ACCESS_TYPE)
        && header.alg == Algorithm::EdDSA
        && header.crit.is_none();
    header.kid.filter(|_| right)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use jsonwebtoken::{EncodingKey, Header};
    use proptest::prelude::*;

    use super::*;
    use crate::{claims::Kind, entropy::SeededEntropy, signer::SigningKey};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&SeededEntropy::new(seed))
    }

    fn keys(key: &SigningKey) -> KeySet {
        [key.public().clone()].into_iter().collect()
    }

    fn claims() -> AccessClaims {
        AccessClaims {
            iss: "issuer".into(),
            aud: "audience".into(),
            sub: "user".into(),
            client_id: "evergreen".into(),
            sid: "session".into(),
            jti: "1".into(),
            iat: NOW.unix_seconds(),
            exp: NOW.unix_seconds() + 900,
            roles: vec!["editor".into()],
            kind: Kind::User,
            roles_version: 0,
        }
    }

    fn verify(token: &str) -> Result<AccessClaims, VerifyError> {
        Verifier::new("issuer", "audience").verify(token, &keys(&key(1)), NOW)
    }

    #[test]
    fn a_good_token_says_what_was_signed() {
        assert_eq!(verify(&key(1).sign(&claims())), Ok(claims()));
    }

    #[test]
    fn a_token_runs_out_after_the_leeway_and_not_before() {
        let token = key(1).sign(&claims());
        let verifier = Verifier::new("issuer", "audience");
        let end = claims().expires_at() + Verifier::LEEWAY;
        let just_before = end - Duration::from_millis(1);
        assert!(verifier.verify(&token, &keys(&key(1)), just_before).is_ok());
        assert_eq!(verifier.verify(&token, &keys(&key(1)), end), Err(VerifyError::Expired));
    }

    #[test]
    fn another_issuer_audience_or_key_is_refused() {
        let signed = |change: fn(&mut AccessClaims)| {
            let mut claims = claims();
            change(&mut claims);
            key(1).sign(&claims)
        };
        assert_eq!(verify(&signed(|c| c.iss = "other".into())), Err(VerifyError::Invalid));
        assert_eq!(verify(&signed(|c| c.aud = "other".into())), Err(VerifyError::Invalid));
        assert_eq!(verify(&key(2).sign(&claims())), Err(VerifyError::UnknownKey));
    }

    #[test]
    fn a_forged_token_is_invalid_even_when_it_has_also_run_out() {
        let mut old = claims();
        old.exp = NOW.unix_seconds() - 3600;
        let token = key(1).sign(&old);
        assert_eq!(verify(&token), Err(VerifyError::Expired));
        let (message, _) = token.rsplit_once('.').unwrap();
        let forged = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode([0; 64]));
        assert_eq!(verify(&forged), Err(VerifyError::Invalid));
    }

    #[test]
    fn swapped_algorithms_types_and_critical_headers_are_refused() {
        let signing = key(1);
        let kid = signing.public().kid().to_owned();
        let payload = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap());
        let unsigned = BASE64_URL_SAFE_NO_PAD
            .encode(format!(r#"{{"alg":"none","typ":"at+jwt","kid":"{kid}"}}"#));
        assert_eq!(verify(&format!("{unsigned}.{payload}.")), Err(VerifyError::Invalid));

        // HMAC with the public key as its secret: the classic confusion of algorithms.
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(ACCESS_TYPE.into());
        header.kid = Some(kid.clone());
        let secret = EncodingKey::from_secret(signing.public().bytes());
        let confused = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
        assert_eq!(verify(&confused), Err(VerifyError::Invalid));

        let pkcs8 = Ed25519::pkcs8(&signing);
        for change in [
            (|h: &mut Header| h.typ = Some("rt+jwt".into())) as fn(&mut Header),
            |h| h.typ = None,
            |h| h.typ = Some("JWT".into()),
            |h| h.kid = None,
            |h| h.crit = Some(vec!["exp".into()]),
        ] {
            let mut header = Header::new(Algorithm::EdDSA);
            header.typ = Some(ACCESS_TYPE.into());
            header.kid = Some(kid.clone());
            change(&mut header);
            let token = jsonwebtoken::encode(&header, &claims(), &pkcs8).unwrap();
            assert_eq!(verify(&token), Err(VerifyError::Invalid), "{header:?}");
        }
    }

    /// An encoding key for headers that `SigningKey` would never write.
    struct Ed25519;

    impl Ed25519 {
        fn pkcs8(key: &SigningKey) -> EncodingKey {
            use aws_lc_rs::signature::Ed25519KeyPair;
            let pair = Ed25519KeyPair::from_seed_unchecked(key.seed()).unwrap();
            EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref())
        }
    }

    #[test]
    fn a_signature_of_another_length_is_refused() {
        let token = key(1).sign(&claims());
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        for length in [0, 1, 63, 65, 66, 67, 1_000] {
            let mut other = signature.clone();
            other.resize(length, 0);
            let token = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(other));
            assert_eq!(verify(&token), Err(VerifyError::Invalid), "{length}");
        }
        assert_eq!(verify(&format!("{message}.{}", "=".repeat(86))), Err(VerifyError::Invalid));
    }

    #[test]
    fn a_published_key_that_is_no_point_of_the_curve_verifies_nothing() {
        for x in [[0xFF; 32], [0; 32], [2; 32]] {
            let public = PublicKey::new(x);
            let header = EncodedHeader::new(Algorithm::EdDSA, ACCESS_TYPE, public.kid());
            let token = header.token(&claims(), |_| [0_u8; 64]);
            let keys = [public].into_iter().collect();
            let verdict = Verifier::new("issuer", "audience").verify(&token, &keys, NOW);
            assert_eq!(verdict, Err(VerifyError::Invalid));
        }
    }

    #[test]
    fn a_token_of_64_kib_is_refused_unread() {
        let mut long = claims();
        long.jti = "x".repeat(64 * 1024);
        assert_eq!(verify(&key(1).sign(&long)), Err(VerifyError::Invalid));
    }

    proptest! {
        #[test]
        fn no_text_and_no_cut_of_a_token_is_accepted(text in "\\PC{0,200}", cut in 0_usize..400) {
            prop_assert!(verify(&text).is_err());
            let token = key(1).sign(&claims());
            if cut < token.len() {
                prop_assert!(verify(&token[..cut]).is_err());
            }
        }
    }
}
