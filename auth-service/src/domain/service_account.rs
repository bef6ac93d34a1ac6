//! Services that call by themselves, and their secrets in both forms: plain (shown once, never
//! stored) and hashed.

use std::{fmt, time::Duration};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use token::{clock::Timestamp, entropy::Entropy};
use zeroize::Zeroizing;

use crate::domain::{
    id::ServiceId,
    secret::Username,
    user::{Role, Status},
};

/// A service account that is about to be stored for the first time.
#[derive(Clone, Debug)]
pub(crate) struct NewServiceAccount {
    pub(crate) id: ServiceId,
    /// Of the form of a user's name, and unique among services.
    pub(crate) name: Username,
    pub(crate) secret: SecretHash,
    pub(crate) roles: Vec<Role>,
    pub(crate) create_time: Timestamp,
}

/// A service account's row.
#[derive(Clone, Debug)]
pub(crate) struct ServiceAccount {
    pub(crate) id: ServiceId,
    pub(crate) secret: SecretHash,
    /// Those that were replaced, as far as their overlaps had not ended when the row was read.
    pub(crate) replaced_secrets: Vec<SecretHash>,
    pub(crate) status: Status,
    pub(crate) roles: Vec<Role>,
    /// Counts the changes after which access tokens are stale.
    pub(crate) roles_version: u32,
}

/// A service's secret as it is shown once, or presented.
#[derive(Clone)]
pub(crate) struct ClientSecret(SecretString);

impl ClientSecret {
    /// A new one, of 256 random bits.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        let bytes = Zeroizing::new(entropy.array::<32>());
        Self(BASE64_URL_SAFE_NO_PAD.encode(*bytes).into())
    }

    /// # Errors
    ///
    /// How to mend it.
    pub(crate) fn presented(secret: String) -> Result<Self, &'static str> {
        let secret = SecretString::from(secret);
        if secret.expose_secret().is_empty() {
            Err("must not be empty")
        } else if secret.expose_secret().len() > MAX_SECRET_BYTES {
            Err("must be at most 256 characters long")
        } else {
            Ok(Self(secret))
        }
    }

    /// What is stored of it. It is random and long, so one pass of SHA-256 is enough: a slow hash
    /// protects what can be guessed.
    pub(crate) fn hash(&self) -> SecretHash {
        let digest = digest::digest(&digest::SHA256, self.0.expose_secret().as_bytes());
        SecretHash(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    pub(crate) fn into_inner(self) -> SecretString {
        self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret([redacted])")
    }
}

/// The SHA-256 of a service's secret: the only form that storage takes.
#[derive(Clone, Copy)]
pub(crate) struct SecretHash(pub(crate) [u8; 32]);

impl SecretHash {
    /// What no secret is known to hash to: compared with where there is nothing to compare with.
    pub(crate) const NONE: Self = Self([0; 32]);

    /// Whether both are of the same secret, in a time that does not tell how much of them agrees.
    pub(crate) fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash([redacted])")
    }
}

/// Whether `presented` proves that its sender is `account`: by the current secret, or by a replaced
/// one while it lasts. Without an account it never does, after the same work.
pub(crate) fn proves(presented: &ClientSecret, account: Option<&ServiceAccount>) -> bool {
    let presented = presented.hash();
    let good = account
        .map_or(vec![], |account| [&[account.secret][..], &account.replaced_secrets].concat());
    // As many are compared as there can be, whatever the first ones say.
    let mut proven = false;
    for place in 0..MAX_SECRETS.max(good.len()) {
        let known = good.get(place);
        proven |= presented.is(known.unwrap_or(&SecretHash::NONE)) & known.is_some();
    }
    proven
}

/// What came of giving a service a new secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretRotation {
    Done,
    NoSuchAccount,
    /// [`MAX_SECRETS`] are good; this is when the next one is not any more.
    TooMany(Timestamp),
}

/// How many secrets of a service are good at once, the current one among them. Each is good for as
/// long as was promised when it was replaced, however often that is repeated.
pub(crate) const MAX_SECRETS: usize = 8;

/// Whether a service with so many replaced secrets may have another: the current one will be a
/// replaced one, too.
pub(crate) const fn has_room(replaced: usize) -> bool {
    replaced + 2 <= MAX_SECRETS
}

/// How long a replaced secret stays good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overlap(Duration);

impl Overlap {
    /// Enough to give every instance of a service the new secret.
    pub(crate) const DEFAULT: Self = Self(Duration::from_secs(86_400));
    const MAX: Duration = Duration::from_secs(30 * 86_400);

    /// # Errors
    ///
    /// How to mend it.
    pub(crate) fn new(overlap: Duration) -> Result<Self, &'static str> {
        if overlap > Self::MAX { Err("must be at most 30 days") } else { Ok(Self(overlap)) }
    }

    pub(crate) const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    pub(crate) const fn duration(self) -> Duration {
        self.0
    }
}

/// As for a password: more is no secret of ours.
const MAX_SECRET_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use token::entropy::SeededEntropy;
    use uuid::Uuid;

    use super::*;

    fn secret(seed: u64) -> ClientSecret {
        ClientSecret::generate(&SeededEntropy::new(seed))
    }

    fn account(current: u64, replaced: impl IntoIterator<Item = u64>) -> ServiceAccount {
        ServiceAccount {
            id: ServiceId(Uuid::nil()),
            secret: secret(current).hash(),
            replaced_secrets: replaced.into_iter().map(|seed| secret(seed).hash()).collect(),
            status: Status::Active,
            roles: vec![],
            roles_version: 0,
        }
    }

    #[test]
    fn a_secret_has_256_bits_and_hashes_as_sha_256_does() {
        let shown = secret(1).into_inner();
        assert_eq!(shown.expose_secret().len(), 43, "32 bytes in base64url");
        assert_ne!(shown.expose_secret(), secret(2).into_inner().expose_secret());
        let abc = ClientSecret::presented("abc".into()).unwrap().hash();
        // FIPS 180-4, the first example.
        assert_eq!(abc.0[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn the_current_secret_and_the_replaced_ones_prove_and_no_other() {
        assert!(proves(&secret(1), Some(&account(1, None))));
        let full = account(8, 1..8);
        for seed in 1..=8 {
            assert!(proves(&secret(seed), Some(&full)), "{seed}");
        }
        assert!(!proves(&secret(9), Some(&full)));
        assert!(!proves(&secret(1), Some(&account(2, None))));
        assert!(!proves(&secret(1), None));
    }

    #[test]
    fn an_overlap_lasts_at_most_thirty_days() {
        assert_eq!(Overlap::new(Duration::ZERO).unwrap().duration(), Duration::ZERO);
        assert!(Overlap::new(Duration::from_secs(30 * 86_400)).is_ok());
        assert!(Overlap::new(Duration::from_secs(30 * 86_400 + 1)).is_err());
    }

    #[test]
    fn what_is_empty_or_too_long_says_how_to_mend_it() {
        assert!(ClientSecret::presented(String::new()).unwrap_err().contains("empty"));
        assert!(ClientSecret::presented("x".repeat(257)).unwrap_err().contains("256"));
    }

    #[test]
    fn debug_shows_neither_form() {
        let plain = secret(1);
        let shown = format!("{plain:?} {:?}", plain.hash());
        assert_eq!(shown, "ClientSecret([redacted]) SecretHash([redacted])");
    }
}
