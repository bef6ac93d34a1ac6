//! Where a stream is.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// A place in what one incarnation of a feed has told. Nobody else can make sense of it, and it does
/// no harm to make one up: what a feed does not know as its own begins with a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Drawn by chance when a feed begins, or begins anew.
    pub(super) incarnation: u64,
    /// Of the last entry that was told.
    pub(super) sequence: u64,
}

impl Cursor {
    pub(super) fn encode(self) -> String {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.incarnation.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sequence.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (incarnation, sequence) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            incarnation: u64::from_be_bytes(*incarnation),
            sequence: u64::from_be_bytes(sequence.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was_and_nothing_else_is_one(
            incarnation: u64, sequence: u64, text in "\\PC{0,40}",
        ) {
            let cursor = Cursor { incarnation, sequence };
            prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
            let longer = cursor.encode() + "AA";
            prop_assert!(Cursor::decode(&longer).is_none());
            if let Some(made_up) = Cursor::decode(&text) {
                prop_assert_eq!(made_up.encode(), text);
            }
        }
    }
}
