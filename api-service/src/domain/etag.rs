//! Names one state of a thing.

use token::entropy::Entropy;

/// Names one state of a thing. It is drawn at random for each write and not counted, so that two
/// different states never share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etag(pub(crate) String);

impl Etag {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self(format!("{:016x}", u64::from_le_bytes(entropy.array())))
    }

    /// The etag that a request holds; empty is none. Any other text is an etag, if a stale one.
    pub(crate) fn from_request(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }
}
