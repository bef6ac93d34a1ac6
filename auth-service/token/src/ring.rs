//! The operator's master keys and what is derived from them.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce as AeadNonce, UnboundKey},
    hkdf, hmac,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    entropy::Entropy,
    error::KeyError,
    jws::{EncodedHeader, REFRESH_TYPE},
    nonce::Nonce,
};

/// 32 secret bytes from which every key of one age of the ring is derived (RFC 5869), each under a
/// label of its own.
pub struct MasterKey {
    kid: String,
    secret: Zeroizing<[u8; 32]>,
    pub(crate) refresh_header: EncodedHeader,
    pub(crate) mac: hmac::Key,
    successors: hmac::Key,
    sealing: LessSafeKey,
}

impl MasterKey {
    /// A new key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::new(Zeroizing::new(entropy.array()))
    }

    /// The key of these 32 bytes.
    #[must_use]
    pub fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        // The secret is uniformly random, so the salt may be empty (RFC 5869 section 3.1).
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret.as_slice());
        let mac = expand(&prk, b"evergreen refresh token mac v1");
        let kid = expand(&prk, b"evergreen master key id v1");
        let kid = BASE64_URL_SAFE_NO_PAD.encode(&kid[..KID_BYTES]);
        Self {
            refresh_header: EncodedHeader::new(Algorithm::HS256, REFRESH_TYPE, &kid),
            kid,
            mac: hmac::Key::new(hmac::HMAC_SHA256, mac.as_slice()),
            successors: hmac::Key::new(
                hmac::HMAC_SHA256,
                expand(&prk, b"evergreen successor nonce v1").as_slice(),
            ),
            sealing: LessSafeKey::new(
                UnboundKey::new(
                    &AES_256_GCM,
                    expand(&prk, b"evergreen sealed storage v1").as_slice(),
                )
                .expect("AES-256 takes the 32 bytes that HKDF was asked for"),
            ),
            secret,
        }
    }

    /// Names the key in a refresh token's header; tells nothing of the secret.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The line that stands for this key in a ring's text. It is the secret itself.
    #[must_use]
    pub fn to_line(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.secret.as_slice()))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The live master keys. The first one signs; all of them verify, and all of them recognise an
/// attempt's successor.
///
/// To rotate: append the new key on every instance, then move it to the front, then remove the old
/// one once the last session that it signed has reached its absolute end.
#[derive(Debug)]
pub struct KeyRing {
    first: MasterKey,
    rest: Vec<MasterKey>,
}

impl KeyRing {
    /// A ring of one key.
    #[must_use]
    pub fn new(first: MasterKey) -> Self {
        Self { first, rest: Vec::new() }
    }

    /// Reads a ring's text: one key a line in base64url, the first signs; empty lines and those
    /// that begin with `#` are passed over.
    ///
    /// # Errors
    ///
    /// [`KeyError::EmptyRing`], [`KeyError::MalformedRing`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, text)| {
                let bytes = BASE64_URL_SAFE_NO_PAD
                    .decode(text.trim_end_matches('='))
                    .map(Zeroizing::new)
                    .map_err(|_| KeyError::MalformedRing { line })?;
                let secret =
                    bytes.as_slice().try_into().map_err(|_| KeyError::MalformedRing { line })?;
                Ok(MasterKey::new(Zeroizing::new(secret)))
            });
        let first = keys.next().ok_or(KeyError::EmptyRing)??;
        Ok(Self { first, rest: keys.collect::<Result<_, _>>()? })
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &MasterKey {
        &self.first
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&MasterKey> {
        self.iter().find(|key| key.kid == kid)
    }

    /// The nonce that the attempt named `key` on the refresh token `spent` gives to its successor in
    /// `generation`, under each live key; the first is the one to use for a new successor.
    ///
    /// That is the one under the key that signed `spent`, whichever key signs now: one attempt has
    /// one successor even if a restored database lets it be made again after the ring was rotated.
    pub fn successors(
        &self,
        spent: &str,
        session: Uuid,
        generation: u64,
        key: &str,
    ) -> impl Iterator<Item = Nonce> {
        let header = spent.split('.').next();
        let is_signer = move |master: &&MasterKey| header == Some(master.refresh_header.as_str());
        let signer = self.iter().find(is_signer);
        let others = self.iter().filter(move |master| !is_signer(master));
        signer.into_iter().chain(others).map(move |master| {
            let mut mac = hmac::Context::with_key(&master.successors);
            mac.update(session.as_bytes());
            mac.update(&generation.to_be_bytes());
            mac.update(key.as_bytes());
            Nonce::from_tag(mac.sign().as_ref())
        })
    }

    /// Encrypts a secret for storage; `name` must be given again to open it, so one record cannot
    /// stand in for another.
    #[must_use]
    pub fn seal(&self, name: &str, secret: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = entropy.array();
        let mut sealed = secret.to_vec();
        self.first
            .sealing
            .seal_in_place_append_tag(
                AeadNonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .expect("AES-GCM seals anything shorter than 64 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts what [`KeyRing::seal`] made, under any live key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unseal`] if no key of the ring opens it under this `name`.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(KeyError::Unseal)?;
        for key in self.iter() {
            let nonce =
                AeadNonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Unseal)?;
            let mut buffer = Zeroizing::new(ciphertext.to_vec());
            let opened = key.sealing.open_in_place(nonce, Aad::from(name.as_bytes()), &mut buffer);
            if let Ok(secret) = opened {
                return Ok(Zeroizing::new(secret.to_vec()));
            }
        }
        Err(KeyError::Unseal)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

/// 72 bits: enough that two keys of one ring never share a name.
const KID_BYTES: usize = 9;

fn expand(prk: &hkdf::Prk, label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    prk.expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("HKDF-SHA256 expands to one hash length");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, entropy::SeededEntropy, refresh::RefreshClaims};

    fn master(seed: u64) -> MasterKey {
        MasterKey::generate(&SeededEntropy::new(seed))
    }

    fn ring(seeds: &[u64]) -> KeyRing {
        let text: Vec<_> = seeds.iter().map(|s| master(*s).to_line().to_string()).collect();
        KeyRing::parse(&text.join("\n")).unwrap()
    }

    #[test]
    fn a_ring_reads_back_what_it_wrote_and_the_first_line_signs() {
        let text =
            format!("# master keys\n\n{}\n{}=\n", *master(1).to_line(), *master(2).to_line());
        let ring = KeyRing::parse(&text).unwrap();
        assert_eq!(ring.signing().kid(), master(1).kid());
        assert!(ring.find(master(2).kid()).is_some());
        assert!(ring.find(master(3).kid()).is_none());
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(KeyRing::parse("# none\n").unwrap_err(), KeyError::EmptyRing);
        let text = format!("{}\nshort\n", *master(1).to_line());
        assert_eq!(KeyRing::parse(&text).unwrap_err(), KeyError::MalformedRing { line: 2 });
    }

    #[test]
    fn a_successor_is_recognised_after_the_ring_was_rotated() {
        let session = Uuid::from_u128(7);
        let at = Timestamp::from_unix_seconds(1_000_000);
        let spent = ring(&[1]).sign_refresh_token(&RefreshClaims {
            session,
            user: session,
            generation: 3,
            nonce: Nonce::from_bytes([0; 16]),
            auth_time: at,
            issued_at: at,
            expires_at: at,
            bound_to: None,
        });
        let of = |seeds: &[u64]| -> Vec<_> {
            ring(seeds).successors(&spent, session, 4, "attempt").collect()
        };
        let before = of(&[1, 2]);
        assert_eq!(before.len(), 2);
        assert_eq!(of(&[2, 1]), before, "the key that signed the spent token comes first");
        assert!(!of(&[2]).contains(&before[0]));
        assert_eq!(of(&[2]), before[1..]);
    }

    #[test]
    fn successors_differ_by_session_generation_and_key() {
        let ring = ring(&[1]);
        let of = |session: u128, generation, key| {
            ring.successors("", Uuid::from_u128(session), generation, key).next().unwrap()
        };
        let one = of(1, 1, "a");
        assert_eq!(one, of(1, 1, "a"));
        for other in [of(2, 1, "a"), of(1, 2, "a"), of(1, 1, "b")] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_sealed_secret_opens_under_its_name_and_ring_only() {
        let entropy = SeededEntropy::new(9);
        let mut sealed = ring(&[1]).seal("key-1", b"secret", &entropy);
        assert_eq!(ring(&[2, 1]).open("key-1", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(ring(&[1]).open("key-2", &sealed).unwrap_err(), KeyError::Unseal);
        assert_eq!(ring(&[2]).open("key-1", &sealed).unwrap_err(), KeyError::Unseal);
        assert_eq!(ring(&[1]).open("key-1", b"").unwrap_err(), KeyError::Unseal);
        *sealed.last_mut().unwrap() ^= 1;
        assert_eq!(ring(&[1]).open("key-1", &sealed).unwrap_err(), KeyError::Unseal);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", ring(&[1]));
        assert!(!shown.contains(master(1).to_line().as_str()), "{shown}");
    }
}
