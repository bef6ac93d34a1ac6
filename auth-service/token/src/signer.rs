//! The private half of an access token: Ed25519 keys and what they sign.

use std::fmt;

use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use zeroize::Zeroizing;

use crate::{claims::AccessClaims, entropy::Entropy, error::KeyError, jws::EncodedHeader};

/// The `typ` of an access token (RFC 9068 section 2.1).
pub(crate) const ACCESS_TYPE: &str = "at+jwt";

/// An Ed25519 key that signs access tokens.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
    header: EncodedHeader,
    public: PublicKey,
}

impl SigningKey {
    /// A new key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::from_seed(Zeroizing::new(entropy.array()))
    }

    /// The key that this 32-byte secret stands for (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .expect("every 32 bytes are an Ed25519 seed");
        let x =
            pair.public_key().as_ref().try_into().expect("an Ed25519 public key is 32 bytes long");
        let public = PublicKey::new(x);
        let header = EncodedHeader::new(Algorithm::EdDSA, ACCESS_TYPE, public.kid());
        Self { seed, pair, header, public }
    }

    /// The secret itself, to be sealed and stored. Never log or send it.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// What verifies this key's signatures.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A signed access token.
    #[must_use]
    pub fn sign(&self, claims: &AccessClaims) -> String {
        self.header.token(claims, |input| self.pair.sign(input))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The public half of a signing key, as it stands in a JWKS (RFC 7517, RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    x: [u8; 32],
}

impl PublicKey {
    /// The key of these 32 bytes; its `kid` is its thumbprint (RFC 7638), so two keys never share
    /// one.
    #[must_use]
    pub fn new(x: [u8; 32]) -> Self {
        // The required members, in lexicographic order and without white space (RFC 7638 section 3).
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(&x));
        let thumbprint = digest::digest(&digest::SHA256, canonical.as_bytes());
        Self { kid: encode(thumbprint.as_ref()), x }
    }

    /// The key that a JWK's `kid` and `x` describe.
    ///
    /// # Errors
    ///
    /// [`KeyError::MalformedPublicKey`] if `x` is not 32 bytes in base64url without padding, or the
    /// `kid` is empty.
    pub fn from_jwk(kid: &str, x: &str) -> Result<Self, KeyError> {
        let x = BASE64_URL_SAFE_NO_PAD
            .decode(x)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(KeyError::MalformedPublicKey)?;
        if kid.is_empty() {
            return Err(KeyError::MalformedPublicKey);
        }
        Ok(Self { kid: kid.to_owned(), x })
    }

    /// Names the key in a token's header.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The 32 bytes in base64url, a JWK's `x`.
    #[must_use]
    pub fn x(&self) -> String {
        encode(&self.x)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.x
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037() {
        // RFC 8037, appendices A.1 to A.3.
        let seed = BASE64_URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap()
            .try_into()
            .unwrap();
        let key = SigningKey::from_seed(Zeroizing::new(seed));
        assert_eq!(key.public().x(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.public().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn debug_does_not_show_the_seed() {
        let key = SigningKey::from_seed(Zeroizing::new([0xAB; 32]));
        let shown = format!("{key:?}");
        assert!(!shown.contains("171") && !shown.contains("seed"), "{shown}");
    }
}
