//! What a store keeps: the pair and the attempt under way, as one unit.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use token::{clock::Timestamp, entropy::Entropy};
use zeroize::Zeroizing;

use super::{StoreError, StoreErrorKind, private::MOVE_AWAY};
use crate::{TokenPair, pair::InvalidToken};

/// A token pair, and the refresh attempt that was written down before it was sent.
#[derive(Clone, Debug)]
pub struct Record {
    pub(crate) pair: TokenPair,
    pub(crate) received_at: Timestamp,
    pub(crate) attempt: Option<Attempt>,
}

/// One attempt to spend a refresh token, named so that repeating it is harmless.
#[derive(Clone)]
pub struct Attempt {
    pub(crate) key: SecretString,
    pub(crate) after_superseded: bool,
}

/// Bytes that are no record that this SDK would use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRecord {
    /// Cut short, or damaged.
    #[error("a session record that is cut short or damaged")]
    Damaged,
    /// Something else.
    #[error("no session record")]
    Foreign,
    /// Written by a newer version of this SDK.
    #[error("a session record of version {0}, which this version does not know")]
    Newer(u32),
    /// A token in it cannot stand in a request.
    #[error("a session record with a token that {0}")]
    Token(InvalidToken),
}

impl Record {
    pub(crate) const fn new(pair: TokenPair, received_at: Timestamp) -> Self {
        Self { pair, received_at, attempt: None }
    }

    pub(crate) fn with_attempt(mut self, attempt: Attempt) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Whether both hold the same tokens and the same attempt.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.pair.same_tokens(&other.pair)
            && match (&self.attempt, &other.attempt) {
                (None, None) => true,
                (Some(a), Some(b)) => a.same(b),
                _ => false,
            }
    }

    /// The tokens.
    #[must_use]
    pub const fn pair(&self) -> &TokenPair {
        &self.pair
    }

    /// The attempt that has no answer yet.
    #[must_use]
    pub const fn attempt(&self) -> Option<&Attempt> {
        self.attempt.as_ref()
    }

    /// As bytes for a store to keep. They hold both tokens in the clear.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let millis =
            |d: Option<Duration>| d.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        let wire = Wire {
            format: FORMAT,
            version: VERSION,
            access_token: self.pair.access_token.expose_secret(),
            refresh_token: self.pair.refresh_token.expose_secret(),
            access_expires_in_ms: millis(self.pair.access_expires_in),
            refresh_after_ms: millis(self.pair.refresh_after),
            session_id: &self.pair.session_id,
            received_at_ms: self.received_at.unix_millis(),
            attempt_key: self.attempt.as_ref().map(|a| a.key.expose_secret()),
            after_superseded: self.attempt.as_ref().is_some_and(|a| a.after_superseded),
        };
        // Large enough that the buffer never moves and leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(
            1024 + 6 * (wire.access_token.len() + wire.refresh_token.len() + wire.session_id.len()),
        ));
        serde_json::to_writer(&mut *bytes, &wire)
            .expect("strings and numbers go into memory without fail");
        bytes
    }

    /// From the bytes that [`encode`](Self::encode) made.
    ///
    /// # Errors
    ///
    /// [`InvalidRecord`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidRecord> {
        let wire: Wire<String> =
            serde_json::from_slice(bytes).map_err(|_| InvalidRecord::of(bytes))?;
        if wire.format != FORMAT || wire.version != VERSION {
            return Err(InvalidRecord::of(bytes));
        }
        let after_superseded = wire.after_superseded;
        // Moved, not copied: no second copy of a secret stays behind.
        let record = Self {
            pair: TokenPair {
                access_token: SecretString::from(wire.access_token),
                refresh_token: SecretString::from(wire.refresh_token),
                access_expires_in: wire.access_expires_in_ms.map(Duration::from_millis),
                refresh_after: wire.refresh_after_ms.map(Duration::from_millis),
                session_id: wire.session_id,
            },
            received_at: Timestamp::from_unix_millis(wire.received_at_ms),
            attempt: wire
                .attempt_key
                .map(|key| Attempt { key: SecretString::from(key), after_superseded }),
        };
        record.pair.check().map_err(InvalidRecord::Token)?;
        if record.attempt.as_ref().is_some_and(|attempt| !attempt.is_sound()) {
            return Err(InvalidRecord::Damaged);
        }
        Ok(record)
    }
}

impl InvalidRecord {
    /// What bytes are that do not parse as a record of this version.
    fn of(bytes: &[u8]) -> Self {
        /// What a record of every version has.
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        match serde_json::from_slice(bytes) {
            Ok(Head { format, .. }) if format != FORMAT => Self::Foreign,
            Ok(Head { version, .. }) if version > VERSION => Self::Newer(version),
            Ok(_) => Self::Damaged,
            Err(_) if bytes.starts_with(BEGINNING) || BEGINNING.starts_with(bytes) => Self::Damaged,
            Err(_) => Self::Foreign,
        }
    }

    /// The error of a store that found such bytes at `place`.
    pub(super) fn at(self, place: &dyn fmt::Display) -> StoreError {
        let (kind, mend) = match self {
            Self::Damaged | Self::Token(_) => (StoreErrorKind::Corrupt, MOVE_AWAY),
            Self::Foreign => (StoreErrorKind::Foreign, "keep the session elsewhere"),
            Self::Newer(_) => (StoreErrorKind::Foreign, "update this program"),
        };
        StoreError::of_kind(kind, format!("{place} holds {self}; {mend}"))
    }
}

impl Attempt {
    /// A new attempt under a key of 192 random bits.
    pub(crate) fn draw(entropy: &dyn Entropy, after_superseded: bool) -> Self {
        use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
        let key = BASE64_URL_SAFE_NO_PAD.encode(Zeroizing::new(entropy.array::<24>()));
        Self { key: SecretString::from(key), after_superseded }
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        self.key.expose_secret() == other.key.expose_secret()
    }

    /// Whether a token service would take the key.
    fn is_sound(&self) -> bool {
        let key = self.key.expose_secret().as_bytes();
        (16..=64).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic)
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("key", &"[redacted]")
            .field("after_superseded", &self.after_superseded)
            .finish()
    }
}

/// The record on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<S> {
    format: S,
    version: u32,
    access_token: S,
    refresh_token: S,
    access_expires_in_ms: Option<u64>,
    refresh_after_ms: Option<u64>,
    session_id: S,
    received_at_ms: i64,
    attempt_key: Option<S>,
    after_superseded: bool,
}

const FORMAT: &str = "evergreen-session";
const VERSION: u32 = 1;
/// What every record begins with.
const BEGINNING: &[u8] = br#"{"format":"evergreen-session","#;
/// No record is larger: two tokens of the greatest size, each byte escaped, and the rest.
pub(super) const MAX_BYTES: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};
    use token::entropy::SeededEntropy;

    use super::*;

    fn record() -> Record {
        let pair = TokenPair::new("acc\"ess")
            .refresh_token("refresh")
            .access_expires_in(Duration::from_secs(900))
            .session_id("s1");
        Record::new(pair, Timestamp::from_unix_seconds(7))
            .with_attempt(Attempt::draw(&SeededEntropy::new(1), true))
    }

    #[test]
    fn a_record_survives_encoding() {
        let back = Record::decode(&record().encode()).unwrap();
        assert!(back.same(&record()));
        assert_eq!(back.received_at, record().received_at);
        assert_eq!(back.pair.session_id, "s1");
        assert!(back.attempt.unwrap().after_superseded);
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = record().encode();
        let damaged = |n| matches!(Record::decode(&bytes[..n]), Err(InvalidRecord::Damaged));
        assert!((0..bytes.len()).all(damaged));
    }

    /// What may be used: both tokens can stand in a header, and the record survives another trip.
    fn is_well_formed(record: &Record) -> bool {
        let again = Record::decode(&record.encode());
        record.pair.check().is_ok() && again.is_ok_and(|again| again.same(record))
    }

    #[test]
    fn every_corruption_of_one_byte_is_refused_or_well_formed() {
        let mut bytes = record().encode();
        let mut refused = 0;
        for at in 0..bytes.len() {
            let right = bytes[at];
            for wrong in (0..=u8::MAX).filter(|wrong| *wrong != right) {
                bytes[at] = wrong;
                match Record::decode(&bytes) {
                    Ok(record) => assert!(is_well_formed(&record), "{at}: {wrong}"),
                    Err(_) => refused += 1,
                }
            }
            bytes[at] = right;
        }
        assert!(refused > 200 * bytes.len(), "{refused}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_well_formed(bytes in vec(any::<u8>(), 0..400)) {
            prop_assert!(Record::decode(&bytes).is_err());
        }

        // What is nearly a record, so that the parser gets far.
        #[test]
        fn any_members_are_refused_or_well_formed(
            access in ".{0,12}",
            refresh in "[!-~]{0,12}|.{0,4}",
            life in any::<Option<u64>>(),
            after in any::<Option<u64>>(),
            id in ".{0,8}",
            received_at in any::<i64>(),
            key in option::of("[!-~]{10,70}|.{0,20}"),
            flag in any::<bool>(),
        ) {
            let wire = Wire {
                format: FORMAT,
                version: VERSION,
                access_token: &*access,
                refresh_token: &*refresh,
                access_expires_in_ms: life,
                refresh_after_ms: after,
                session_id: &*id,
                received_at_ms: received_at,
                attempt_key: key.as_deref(),
                after_superseded: flag,
            };
            let sound = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
            let key = key.as_ref().is_none_or(|key| sound(key) && (16..=64).contains(&key.len()));
            let bytes = serde_json::to_vec(&wire).unwrap();
            let decoded = Record::decode(&bytes);
            prop_assert_eq!(decoded.is_ok(), sound(&access) && sound(&refresh) && key);
            if let Ok(record) = decoded {
                prop_assert!(is_well_formed(&record));
            }
        }
    }

    #[test]
    fn the_attempt_key_keeps_to_the_wire_contract() {
        let attempt = Attempt::draw(&SeededEntropy::new(1), false);
        let key = attempt.key.expose_secret();
        assert!((16..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()));
        assert!(!attempt.same(&Attempt::draw(&SeededEntropy::new(2), false)));
    }
}
