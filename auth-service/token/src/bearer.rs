//! The bearer token of an `authorization` entry (RFC 6750 section 2.1).

use thiserror::Error;

/// Why there is no bearer token to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BearerError {
    /// There is more than one entry, or the one there is has another form.
    #[error("the authorization metadata must be one entry of the form `Bearer <token>`")]
    Malformed,
    /// There is no entry, or it is empty.
    #[error("the token is missing: send it in the metadata `authorization: Bearer <token>`")]
    Missing,
}

/// The token among the values of all `authorization` entries of a request.
///
/// The scheme is compared without regard to case (RFC 9110 section 11.1); more white space than the
/// one space is tolerated, since it cannot change what is meant. Two entries are refused whatever
/// they hold: two parties that each read another one would disagree about who calls.
///
/// # Errors
///
/// [`BearerError::Missing`], [`BearerError::Malformed`].
///
/// ```
/// use token::bearer::{BearerError, bearer_token};
///
/// assert_eq!(bearer_token(["bearer abc".as_bytes()]), Ok("abc"));
/// assert_eq!(bearer_token(["Basic abc".as_bytes()]), Err(BearerError::Malformed));
/// assert_eq!(bearer_token([]), Err(BearerError::Missing));
/// ```
pub fn bearer_token<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<&'a str, BearerError> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::Malformed);
    }
    let text = std::str::from_utf8(value).map_err(|_| BearerError::Malformed)?;
    let text = text.trim_matches(BLANK);
    if text.is_empty() {
        return Err(BearerError::Missing);
    }
    let (scheme, token) = text.split_once(BLANK).ok_or(BearerError::Malformed)?;
    let token = token.trim_start_matches(BLANK);
    if scheme.eq_ignore_ascii_case("bearer") && is_token68(token) {
        Ok(token)
    } else {
        Err(BearerError::Malformed)
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// RFC 9110 section 11.2.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    // Every byte is looked at, so that the loop has no branch to guess.
    !body.is_empty() && body.bytes().fold(true, |all, byte| all & TOKEN68[usize::from(byte)])
}

const TOKEN68: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        allowed[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    allowed
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(values: &[&'a [u8]]) -> Result<&'a str, BearerError> {
        bearer_token(values.iter().copied())
    }

    #[test]
    fn one_token_is_read_however_its_scheme_is_written() {
        for value in [
            "Bearer a.b-c_d~e+f/g==",
            "bearer a.b-c_d~e+f/g==",
            "BEARER a.b-c_d~e+f/g==",
            "bEaReR   a.b-c_d~e+f/g==",
            "Bearer\ta.b-c_d~e+f/g==",
            "\t Bearer \t a.b-c_d~e+f/g== \t",
        ] {
            assert_eq!(read(&[value.as_bytes()]), Ok("a.b-c_d~e+f/g=="), "{value:?}");
        }
    }

    #[test]
    fn no_token_is_missing_and_a_bad_one_malformed() {
        for values in [&[][..], &[b"".as_slice()][..], &[b" \t ".as_slice()][..]] {
            assert_eq!(read(values), Err(BearerError::Missing));
        }
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer =",
            "Bearera.b.c",
            "Bearer: a.b.c",
            "Bearer a.b.c d",
            "Bearer a.b.c\td",
            "Bearer a.b.c,Bearer a.b.c",
            "Bearer \"a.b.c\"",
            "Bearer a=b",
            "Bearer é",
            "Basic YTpi",
            "DPoP a.b.c",
            "a.b.c",
        ] {
            assert_eq!(read(&[value.as_bytes()]), Err(BearerError::Malformed), "{value:?}");
        }
        assert_eq!(read(&[b"Bearer \xff\xfe"]), Err(BearerError::Malformed));
    }

    #[test]
    fn two_entries_are_malformed_even_when_both_agree() {
        assert_eq!(read(&[b"Bearer a.b.c", b"Bearer a.b.c"]), Err(BearerError::Malformed));
        assert_eq!(read(&[b"Bearer a.b.c", b""]), Err(BearerError::Malformed));
    }

    proptest! {
        #[test]
        fn what_is_read_is_part_of_what_was_sent(value in "[ -~\\t]{0,80}") {
            if let Ok(token) = read(&[value.as_bytes()]) {
                prop_assert!(value.contains(token));
                prop_assert!(!token.contains([' ', '\t', ',', '"']));
            }
        }
    }
}
