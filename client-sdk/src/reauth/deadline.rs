//! `grpc-timeout`, as gRPC over HTTP/2 writes it.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// The instant by which the caller wants its answer; `None` if it set no (readable) timeout.
pub(super) fn deadline(headers: &HeaderMap, now: Instant) -> Option<Instant> {
    now.checked_add(parse(headers.get(GRPC_TIMEOUT)?.to_str().ok()?)?)
}

/// Replaces the timeout by what is left. `None` if nothing is.
pub(super) fn shorten(headers: &mut HeaderMap, deadline: Option<Instant>) -> Option<()> {
    let Some(deadline) = deadline else { return Some(()) };
    let left = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())?;
    let value = HeaderValue::try_from(format(left)).expect("digits and a letter make a header");
    headers.insert(GRPC_TIMEOUT, value);
    Some(())
}

/// 1 to 8 digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// In the finest unit that 8 digits hold, rounded down: a replay never gets more time than is left.
fn format(left: Duration) -> String {
    let units = [
        (left.as_nanos(), 'n'),
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
        (u128::from(left.as_secs()), 'S'),
        (u128::from(left.as_secs() / 60), 'M'),
    ];
    let hours = (u128::from(left.as_secs() / 3600).min(MOST), 'H');
    let (n, unit) = units.into_iter().find(|(n, _)| *n <= MOST).unwrap_or(hours);
    format!("{n}{unit}")
}

const GRPC_TIMEOUT: &str = "grpc-timeout";
const MOST: u128 = 99_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_timeouts_are_none() {
        for text in ["", "S", "1", "123456789S", "-1S", "1s", "1 S", "é"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_no_more_and_hardly_less(nanos in 1_u64..) {
            let left = Duration::from_nanos(nanos);
            let read = parse(&format(left)).unwrap();
            prop_assert!(read <= left);
            // At least 5 digits are kept.
            prop_assert!(left - read <= left / 90_000 + Duration::from_nanos(1));
        }
    }
}
