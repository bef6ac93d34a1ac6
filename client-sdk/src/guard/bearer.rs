//! Finds the bearer token in a call's metadata.

use http::{HeaderMap, header::AUTHORIZATION};

use super::refusal::Refusal;

/// The token of the one `authorization` value, as RFC 6750 section 2.1 writes it. The scheme's case
/// does not matter (RFC 9110 section 11.1); more white space than the one space is tolerated, since
/// it cannot change what is meant.
///
/// Two values are refused whatever they hold: two parties that each read another one would disagree
/// about who calls.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Invalid);
    }
    let value = value.to_str().map_err(|_| Refusal::Invalid)?.trim_matches(BLANK);
    if value.is_empty() {
        return Err(Refusal::Missing);
    }
    let (scheme, token) = value.split_once(BLANK).ok_or(Refusal::Invalid)?;
    let token = token.trim_start_matches(BLANK);
    if scheme.eq_ignore_ascii_case("bearer") && is_token68(token) {
        Ok(token)
    } else {
        Err(Refusal::Invalid)
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// RFC 9110 section 11.2.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        token(&headers).map(str::to_owned)
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
            assert_eq!(read(&[value.as_bytes()]).as_deref(), Ok("a.b-c_d~e+f/g=="), "{value:?}");
        }
    }

    #[test]
    fn no_token_is_missing_and_a_bad_one_invalid() {
        assert_eq!(read(&[]), Err(Refusal::Missing));
        assert_eq!(read(&[b""]), Err(Refusal::Missing));
        assert_eq!(read(&[b" \t "]), Err(Refusal::Missing));
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
            "Basic YTpi",
            "DPoP a.b.c",
            "a.b.c",
        ] {
            assert_eq!(read(&[value.as_bytes()]), Err(Refusal::Invalid), "{value:?}");
        }
        assert_eq!(read(&["Bearer é".as_bytes()]), Err(Refusal::Invalid));
        assert_eq!(read(&[b"Bearer \xff\xfe"]), Err(Refusal::Invalid));
    }

    #[test]
    fn a_doubled_header_is_invalid_even_when_both_agree() {
        assert_eq!(read(&[b"Bearer a.b.c", b"Bearer a.b.c"]), Err(Refusal::Invalid));
        assert_eq!(read(&[b"Bearer a.b.c", b""]), Err(Refusal::Invalid));
    }

    proptest! {
        #[test]
        fn what_is_read_is_part_of_what_was_sent(value in "[ -~\\t]{0,80}") {
            if let Ok(token) = read(&[value.as_bytes()]) {
                prop_assert!(value.contains(&token));
                prop_assert!(!token.contains([' ', '\t', ',', '"']));
            }
        }
    }
}
