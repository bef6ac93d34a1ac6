//! What is searched for.

use super::words::words;
use crate::domain::violation::Violation;

/// Words, all of which must be there; the last one also by its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// Without repeats.
    whole: Vec<String>,
    last: String,
}

impl Query {
    const MOST_CHARACTERS: usize = 500;
    const MOST_WORDS: usize = 16;

    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Violation> {
        let no = |mend: String| Err(Violation::new(field, mend));
        // What is far too long is not even counted.
        if text.len() > 4 * Self::MOST_CHARACTERS || text.chars().count() > Self::MOST_CHARACTERS {
            return no(format!("must have at most {} characters", Self::MOST_CHARACTERS));
        }
        let mut whole: Vec<_> = words(text).map(|word| word.text).collect();
        if whole.len() > Self::MOST_WORDS {
            return no(format!("must hold at most {} words", Self::MOST_WORDS));
        }
        let Some(last) = whole.pop() else {
            return no("must hold a letter or a digit".to_owned());
        };
        whole.sort_unstable();
        whole.dedup();
        Ok(Self { whole, last })
    }

    /// Those that count only whole, each once.
    pub(crate) fn whole(&self) -> &[String] {
        &self.whole
    }

    /// The one that words may also begin with.
    pub(crate) fn last(&self) -> &str {
        &self.last
    }

    /// Which of its words this is, counted from 0; a word may be two.
    pub(super) fn places(&self, word: &str) -> impl Iterator<Item = usize> {
        let whole = self.whole.binary_search_by(|known| known.as_str().cmp(word)).ok();
        let last = word.starts_with(&self.last).then_some(self.whole.len());
        whole.into_iter().chain(last)
    }

    /// How many words it has.
    pub(super) fn len(&self) -> usize {
        self.whole.len() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_words_whatever_else_it_holds() {
        for (text, whole, last) in [
            ("VPN", &[][..], "vpn"),
            ("b a b c", &["a", "b"], "c"),
            ("a OR b*", &["a", "or"], "b"),
            ("\"NEAR(x, 2)\" AND", &["2", "near", "x"], "and"),
            ("été -- 🌲", &[], "ete"),
        ] {
            let query = Query::parse("query", text).unwrap();
            assert_eq!((query.whole(), query.last()), (&*owned(whole), last), "{text}");
        }
    }

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.into()).collect()
    }

    #[test]
    fn no_words_and_too_many_are_violations() {
        let many = |count: usize| "a ".repeat(count);
        assert!(Query::parse("query", &many(16)).is_ok());
        assert!(Query::parse("query", &"x".repeat(500)).is_ok());
        for bad in ["", " ", "\"", "*", "🌲", &many(17), &"x".repeat(501), &"🌲".repeat(501)] {
            assert_eq!(Query::parse("query", bad).unwrap_err().field, "query", "{bad}");
        }
    }
}
