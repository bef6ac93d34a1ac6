//! The bearer token of an `authorization` entry (RFC 6750 section 2.1).

use std::fmt;

/// Why there is no bearer token to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BearerError {
    /// There is more than one entry, or the one there is has another form.
    Malformed,
    /// There is no entry.
    Missing,
}

impl fmt::Display for BearerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "the authorization metadata must be one entry of the form `Bearer <token>`"
            }
            Self::Missing => {
                "the token is missing: send it in the metadata `authorization: Bearer <token>`"
            }
        })
    }
}

impl std::error::Error for BearerError {}

/// The token among the values of all `authorization` entries of a request.
///
/// The scheme is compared without regard to case (RFC 9110 section 11.1). Two entries are refused,
/// even equal ones: which of them a proxy checked is not known.
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
    let (scheme, token) = text.trim().split_once([' ', '\t']).ok_or(BearerError::Malformed)?;
    let token = token.trim_start();
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && printable {
        Ok(token)
    } else {
        Err(BearerError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_has_no_case_and_the_token_no_gaps() {
        for good in ["Bearer t", "bearer t", "BEARER t", " Bearer  t ", "Bearer\tt"] {
            assert_eq!(bearer_token([good.as_bytes()]), Ok("t"), "{good:?}");
        }
        for bad in
            ["", "t", "Bearer", "Bearer ", "Bearert", "Basic t", "Bearer a b", "Bearer t\u{e9}"]
        {
            assert_eq!(bearer_token([bad.as_bytes()]), Err(BearerError::Malformed), "{bad:?}");
        }
        assert_eq!(bearer_token([&b"Bearer \xff"[..]]), Err(BearerError::Malformed));
    }

    #[test]
    fn two_entries_are_refused_even_if_equal() {
        assert_eq!(bearer_token([&b"Bearer t"[..], b"Bearer t"]), Err(BearerError::Malformed));
    }
}
