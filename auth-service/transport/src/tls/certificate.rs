//! What is read of an X.509 certificate (RFC 5280 section 4.1): when it is good, and whose key it is
//! about.
//!
//! Whether it can be trusted is for rustls to say. That keeps both of these to itself, and a crate that
//! reads all of a certificate would bring a dozen others along.

use std::str;

use token::{KeyDigest, clock::Timestamp};

/// Parts of a certificate, whoever signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// It is good from then on.
    pub not_before: Timestamp,
    /// It is good until then.
    pub not_after: Timestamp,
    /// The `SubjectPublicKeyInfo`, in DER.
    pub public_key: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER; `None` if it is none.
    #[must_use]
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let mut certificate = Der(der).within(SEQUENCE)?;
        let mut body = certificate.within(SEQUENCE)?;
        if body.0.first() == Some(&VERSION) {
            body.element(VERSION)?;
        }
        body.element(INTEGER)?; // the serial number
        body.element(SEQUENCE)?; // the algorithm of the signature
        body.element(SEQUENCE)?; // the issuer
        let mut validity = body.within(SEQUENCE)?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        body.element(SEQUENCE)?; // the subject
        let public_key = body.element(SEQUENCE)?.whole;
        Some(Self { not_before, not_after, public_key })
    }

    /// What a session is bound to: the key, so that a renewed certificate for it still fits.
    #[must_use]
    pub fn key_digest(&self) -> KeyDigest {
        KeyDigest::of(self.public_key)
    }
}

/// Elements in DER, one after the other.
struct Der<'a>(&'a [u8]);

struct Element<'a> {
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    /// The next element, which must have this tag.
    fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // The length in as many bytes. Four would be more than any certificate has.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        (found == tag).then_some(Element { content, whole })
    }

    /// What is in the next element.
    fn within(&mut self, tag: u8) -> Option<Self> {
        Some(Self(self.element(tag)?.content))
    }

    /// `YYMMDDhhmmssZ`, where `YY` is of 1950 to 2049, or `YYYYMMDDhhmmssZ` (section 4.1.2.5).
    fn time(&mut self) -> Option<Timestamp> {
        let (century, text) = if self.0.first() == Some(&UTC_TIME) {
            let text = self.element(UTC_TIME)?.content;
            (if text.first()? < &b'5' { "20" } else { "19" }, text)
        } else {
            ("", self.element(GENERALIZED_TIME)?.content)
        };
        let digits = format!("{century}{}", str::from_utf8(text.strip_suffix(b"Z")?).ok()?);
        if digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = |from: usize, to: usize| digits[from..to].parse::<i64>().ok();
        let days = days(number(0, 4)?, number(4, 6)?, number(6, 8)?)?;
        let (hours, minutes, seconds) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
        Some(Timestamp::from_unix_seconds(((days * 24 + hours) * 60 + minutes) * 60 + seconds))
    }
}

/// The days from the Unix epoch to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let before_month = *DAYS_BEFORE_MONTH.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    let leap_days_before = |year: i64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let leap_days = leap_days_before(year) - leap_days_before(1970);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let this_year = before_month + i64::from(is_leap && month > 2) + day - 1;
    (1..=31).contains(&day).then_some((year - 1970) * 365 + leap_days + this_year)
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// Context-specific and constructed, number 0.
const VERSION: u8 = 0xa0;
const DAYS_BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData as _,
    };

    use super::*;

    fn made(not_before: i64, not_after: i64, key: &KeyPair) -> Vec<u8> {
        let time = |seconds: i64| {
            let since = Duration::from_secs(seconds.unsigned_abs());
            let epoch = SystemTime::UNIX_EPOCH;
            (if seconds < 0 { epoch - since } else { epoch + since }).into()
        };
        let mut params = CertificateParams::new(["here".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (time(not_before), time(not_after));
        params.self_signed(key).unwrap().der().to_vec()
    }

    #[test]
    fn times_and_key_are_those_that_the_certificate_was_made_with() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        for (from, to) in [
            // The last second of a leap day, of a century that has none, and of one that has.
            (951_868_799, 951_868_800),
            (4_107_542_399, 4_107_542_400),
            // Before the epoch, on both sides of 2050, where the form changes, and at the end.
            (-1, 2_524_607_999),
            (2_524_608_000, 253_402_300_799),
        ] {
            let der = made(from, to, &key);
            let read = Certificate::parse(&der).unwrap();
            assert_eq!(read.not_before.unix_seconds(), from);
            assert_eq!(read.not_after.unix_seconds(), to);
            assert_eq!(read.public_key, key.subject_public_key_info());
        }
    }

    #[test]
    fn a_renewed_certificate_is_of_the_same_key_and_another_s_is_not() {
        let keys = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P256_SHA256]
            .map(|algorithm| KeyPair::generate_for(algorithm).unwrap());
        let digest = |end, key| Certificate::parse(&made(0, end, key)).unwrap().key_digest();
        assert_eq!(digest(1, &keys[0]), digest(2, &keys[0]));
        assert_ne!(digest(1, &keys[0]), digest(1, &keys[1]));
        let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let der = made(0, 1, &rsa);
        assert_eq!(Certificate::parse(&der).unwrap().public_key, rsa.subject_public_key_info());
    }

    proptest! {
        #[test]
        fn no_bytes_and_no_damage_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in 0_usize..400,
            byte: u8,
        ) {
            let _ = Certificate::parse(&bytes);
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
            let mut der = made(0, 1, &key);
            let at = at % der.len();
            prop_assert_eq!(Certificate::parse(&der[..at]), None);
            der[at] = byte;
            let _ = Certificate::parse(&der);
        }
    }
}
