//! Typed ids, so that a folder's is never taken for a tree's.

use std::fmt;

use token::{clock::Timestamp, entropy::Entropy};
use uuid::Uuid;

use super::violation::Violation;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub(crate) struct $name(pub(crate) Uuid);

            impl $name {
                /// A new one. Those of a later millisecond sort after those of an earlier one (UUID
                /// version 7).
                pub(crate) fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                    Self(uuid(now, entropy))
                }

                /// The id that a field of a request holds.
                pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Violation> {
                    parse(field, text).map(Self)
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }
        )*
    };
}

ids! {
    /// Names a category.
    CategoryId
    /// Names a folder.
    FolderId
    /// Names a tree.
    TreeId
}

impl TreeId {
    /// The one right after this one, for trees of one instant that have an order.
    pub(crate) fn successor(self) -> Self {
        // What is counted up is the drawn part, whose 62 low bits are not all ones.
        Self(Uuid::from_u128(self.0.as_u128() + 1))
    }
}

/// The id that a field of a request holds; empty is none.
pub(crate) fn optional<T>(
    field: &str,
    text: &str,
    parse: fn(&str, &str) -> Result<T, Violation>,
) -> Result<Option<T>, Violation> {
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

fn uuid(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let millis = u64::try_from(now.unix_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &entropy.array()).into_uuid()
}

/// Only the form in which ids are given out: braces, URNs and bare digits would be other names for
/// the same thing.
fn parse(field: &str, text: &str) -> Result<Uuid, Violation> {
    let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(text)
        .ok()
        .filter(|_| hyphenated)
        .ok_or_else(|| Violation::new(field, "must be an id as this service gave it out"))
}

#[cfg(test)]
mod tests {
    use token::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let entropy = SeededEntropy::new(1);
        let ids: Vec<_> = (0..100)
            .map(|n| TreeId::new(Timestamp::from_unix_millis(1_800_000_000_000 + n), &entropy))
            .collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].0.get_version_num(), 7);
    }

    #[test]
    fn an_id_is_read_in_the_form_it_was_given_out_in() {
        let id = TreeId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(1));
        let text = id.to_string();
        assert_eq!(TreeId::parse("tree_id", &text), Ok(id));
        let bare = text.replace('-', "");
        for bad in ["", "x", &bare, &format!("{{{text}}}"), &format!("{text} "), &text[1..]] {
            assert_eq!(TreeId::parse("tree_id", bad).unwrap_err().field, "tree_id", "{bad:?}");
        }
        assert_eq!(optional("tree_id", "", TreeId::parse), Ok(None));
    }
}
