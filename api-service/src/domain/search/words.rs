//! The words of a text.

use std::ops::Range;

use smallvec::SmallVec;
use unicode_normalization::char::{
    canonical_combining_class, decompose_compatible, is_combining_mark,
};

/// The longest word, in characters. What is longer is cut, in texts and queries alike.
const LONGEST: usize = 64;

/// A word as it is compared, and where in its text it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// In bytes, between characters.
    pub(super) at: Range<usize>,
}

/// The words of a text in their order: runs of letters and digits, without case and accents.
/// Everything else only separates them.
pub(super) fn words(text: &str) -> impl Iterator<Item = Word> {
    let mut chars = text.char_indices().flat_map(|(start, c)| {
        fold(c).into_iter().map(move |folded| (start..start + c.len_utf8(), folded))
    });
    std::iter::from_fn(move || {
        let (at, first) = chars.by_ref().find(|&(_, c)| c.is_alphanumeric())?;
        let mut word = Word { text: first.into(), at };
        let mut length = 1;
        for (at, c) in chars.by_ref() {
            if !c.is_alphanumeric() && !is_combining_mark(c) {
                break;
            }
            word.at.end = at.end;
            if length < LONGEST {
                word.text.push(c);
                length += 1;
            }
        }
        Some(word)
    })
}

/// The words of a text, without where they stand.
pub(super) fn each_word(text: &str, mut found: impl FnMut(&str)) {
    if !text.is_ascii() {
        words(text).for_each(|word| found(&word.text));
        return;
    }
    // Bytes are characters here, and case is all there is to fold.
    let mut folded = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        folded.clear();
        folded.push_str(&word[..word.len().min(LONGEST)]);
        folded.make_ascii_lowercase();
        found(&folded);
    }
}

/// A character without case, accents and the difference between forms of one letter; nothing for an
/// accent on its own.
fn fold(c: char) -> SmallVec<[char; 4]> {
    let mut folded = SmallVec::new();
    if c.is_ascii() {
        folded.push(c.to_ascii_lowercase());
        return folded;
    }
    // By upper case, since letters that differ in lower case alone (a final sigma, a sharp s) meet
    // there. Changing case may compose anew.
    decompose_compatible(c, |c| {
        for lower in c.to_uppercase().flat_map(char::to_lowercase) {
            decompose_compatible(lower, |c| folded.push(c));
        }
    });
    folded.retain(|c| !is_accent(*c));
    folded
}

/// Marks that are drawn above, below or through a letter. Those of the lower classes make another
/// letter of it (voicing in Japanese) or a syllable (the virama), and stay.
fn is_accent(c: char) -> bool {
    canonical_combining_class(c) >= 10
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<String> {
        words(text).map(|word| word.text).collect()
    }

    #[test]
    fn words_are_letters_and_digits_without_case_and_accents() {
        for (text, expected) in [
            ("Réseau d'Été", &["reseau", "d", "ete"][..]),
            ("Re\u{301}seau", &["reseau"]),
            ("ÜBER-mut_2", &["uber", "mut", "2"]),
            ("Straße STRASSE", &["strasse", "strasse"]),
            ("ΟΔΟΣ οδος", &["οδοσ", "οδοσ"]),
            ("ﬁx Ｗｉ-Ｆｉ", &["fix", "wi", "fi"]),
            ("İstanbul", &["istanbul"]),
            ("½ km²", &["1", "2", "km2"]),
            ("🌲 \u{2068}a\u{2069}b", &["a", "b"]),
            ("\u{301}\u{301} *:\"()", &[]),
            ("", &[]),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        // A syllable is one word, and another mark another word.
        assert_eq!(of("हिन्दी").len(), 1);
        assert_ne!(of("か"), of("が"));
    }

    #[test]
    fn a_long_word_is_cut_and_still_whole_in_its_text() {
        let found: Vec<_> = words(&"x".repeat(1_000)).collect();
        assert_eq!(found, [Word { text: "x".repeat(64), at: 0..1_000 }]);
    }

    proptest! {
        #[test]
        fn a_word_is_where_it_says(text in "\\PC{0,60}") {
            let mut end = 0;
            for word in words(&text) {
                prop_assert!(text.is_char_boundary(word.at.start));
                prop_assert!(text.is_char_boundary(word.at.end));
                // Two words may come of one character.
                prop_assert!(word.at.start < word.at.end && word.at.end >= end);
                end = word.at.end;
                prop_assert!(word.text.chars().count() <= LONGEST);
                prop_assert!(word.text.starts_with(char::is_alphanumeric));
                // The same words come of what stands there.
                let again = of(&text[word.at.clone()]);
                prop_assert!(again.contains(&word.text), "{word:?} {again:?}");
            }
        }

        #[test]
        fn each_word_is_the_same_without_its_place(
            text in prop_oneof!["[ -~\\t\\n]{0,60}", "[a-zA-Z0-9]{50,80}", "\\PC{0,60}"],
        ) {
            let mut each = Vec::new();
            each_word(&text, |word| each.push(word.to_owned()));
            prop_assert_eq!(each, of(&text));
        }

        #[test]
        fn words_are_their_own_words(text in "\\PC{0,60}") {
            for word in of(&text) {
                prop_assert_eq!(of(&word), [word.clone()]);
            }
        }
    }
}
