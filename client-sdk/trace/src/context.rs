//! The place of a span in a trace.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The metadata entry that names a request's trace.
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A span of a trace: what is done for one request, by one program.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

impl TraceContext {
    /// The first span of a trace that is to be recorded. Zeros mean no id.
    pub(crate) fn new(trace: u128, span: u64) -> Self {
        Self { trace, span, sampled: true }
    }

    pub(crate) fn with_span(self, span: u64) -> Self {
        Self { span, ..self }
    }

    /// What a `traceparent` says (W3C Trace Context, level 1). None if it is malformed.
    ///
    /// ```
    /// use trace_context::TraceContext;
    ///
    /// let sent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    /// let parent = TraceContext::parse(sent).unwrap();
    /// assert_eq!(parent.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// assert_eq!(parent.header().as_bytes(), sent);
    /// ```
    #[must_use]
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        let (fields, rest) = traceparent.split_at_checked(LENGTH)?;
        let version = hex(&fields[..2])?;
        // Version 00 ends here; a later one may go on behind a hyphen. There is no version ff.
        let ends_well =
            if version == 0 { rest.is_empty() } else { matches!(rest, [] | [b'-', ..]) };
        let hyphens = [fields[2], fields[35], fields[52]];
        if !ends_well || version == 0xff || hyphens != [b'-'; 3] {
            return None;
        }
        let trace = hex(&fields[3..35])?;
        let span = u64::try_from(hex(&fields[36..52])?).ok()?;
        let flags = hex(&fields[53..])?;
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled: flags & 1 == 1 })
    }

    /// What a request says of the span that it comes from. None if it says nothing, or nothing that
    /// means something.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(&TRACEPARENT).iter();
        let parent = Self::parse(values.next()?.as_bytes());
        // Of two nobody can say which is meant.
        parent.filter(|_| values.next().is_none())
    }

    /// The value of `traceparent` for what is asked of others in this span.
    #[must_use]
    pub fn header(self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], self.trace);
        write_hex(&mut text[36..52], u128::from(self.span));
        text[54] += u8::from(self.sampled);
        // A request that may be sent again is kept: so that cloning this costs nothing.
        let text = Bytes::from_owner(text);
        HeaderValue::from_maybe_shared(text).expect("hexadecimal digits and hyphens are visible")
    }

    /// The trace, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> TraceId {
        TraceId(self.trace)
    }

    /// The span, 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(self) -> SpanId {
        SpanId(self.span)
    }

    /// Whether whoever sent it records it.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.sampled
    }

    /// The span in which the task that asks works, if it works in one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// Works in this span. A task that is spawned meanwhile does not, unless it is told to.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use trace_context::{TraceContext, TraceIds};
    ///
    /// let span = TraceIds::new([7; 16]).root();
    /// assert_eq!(span.scope(async { TraceContext::current() }).await, Some(span));
    /// assert_eq!(TraceContext::current(), None);
    /// # }
    /// ```
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// Goes on in the span of whoever calls this, for work that another task is to do. Without one it
    /// is the work itself.
    pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
        let current = Self::current();
        async move {
            match current {
                Some(span) => span.scope(work).await,
                None => work.await,
            }
        }
    }

    /// Works in this span without waiting.
    pub fn enter<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }
}

/// Names a trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// Its bytes, the most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

/// Names a span in its trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl SpanId {
    /// Its bytes, the most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.trace_id(), self.span_id())
    }
}

/// Lower-case digits only, as the specification demands.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

fn write_hex(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

/// Of version 00.
const LENGTH: usize = 55;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_malformed_says_nothing() {
        assert!(TraceContext::parse(GOOD.as_bytes()).unwrap().is_sampled());
        let later = GOOD.replacen("00", "cc", 1);
        for good in [&later, &format!("{later}-what-comes"), &GOOD.replace("-01", "-00")] {
            assert!(TraceContext::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            format!("{later}more"),
            GOOD.replacen("00", "ff", 1),
            GOOD.to_uppercase(),
            GOOD.replace('-', "_"),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace("-01", "-0x"),
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn of_two_neither_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(TraceContext::of(&headers), None);
        headers.append(&TRACEPARENT, GOOD.parse().unwrap());
        assert_eq!(TraceContext::of(&headers), TraceContext::parse(GOOD.as_bytes()));
        headers.append(&TRACEPARENT, GOOD.parse().unwrap());
        assert_eq!(TraceContext::of(&headers), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let context = TraceContext { trace, span, sampled };
            prop_assert_eq!(TraceContext::parse(context.header().as_bytes()), Some(context));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = TraceContext::parse(&bytes);
        }
    }
}
