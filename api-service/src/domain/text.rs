//! What text may hold.

use super::violation::Violation;

/// How long a text may be, in characters, and what it may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    least: usize,
    most: usize,
    lines: bool,
}

impl Text {
    /// One line, not blank, of at most so many characters.
    pub(crate) const fn line(most: usize) -> Self {
        Self { least: 1, most, lines: false }
    }

    /// Any number of lines, possibly none, of at most so many characters.
    pub(crate) const fn lines(most: usize) -> Self {
        Self { least: 0, most, lines: true }
    }

    /// The text, if it keeps to this; `field` is where it stands in the request.
    pub(crate) fn check(self, field: &str, text: String) -> Result<String, Violation> {
        let no = |mend: String| Err(Violation::new(field, mend));
        // A character has at most four bytes: what is far too long is not even counted.
        if text.len() > self.most
            && (text.len() > 4 * self.most || text.chars().count() > self.most)
        {
            return no(format!("must have at most {} characters", self.most));
        }
        if self.least > 0 && text.trim().is_empty() {
            return no("must not be blank".to_owned());
        }
        // Most text is told to be good without being read as characters.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Ok(text);
        }
        let allowed = |c: char| !c.is_control() || (self.lines && matches!(c, '\n' | '\r' | '\t'));
        if let Some(c) = text.chars().find(|&c| !allowed(c)) {
            let code = u32::from(c);
            return no(format!("must not hold the control character U+{code:04X}"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_and_not_bytes() {
        let line = Text::line(3);
        for good in ["a", "abc", "äöü", "🌲🌲🌲"] {
            assert!(line.check("f", good.into()).is_ok(), "{good}");
        }
        for bad in ["", " ", "\u{3000}", "abcd", "🌲🌲🌲🌲"] {
            assert!(line.check("f", bad.into()).is_err(), "{bad}");
        }
        assert!(Text::lines(3).check("f", String::new()).is_ok());
    }

    #[test]
    fn control_characters_are_named() {
        for (bad, code) in [("a\0b", "U+0000"), ("a\u{7f}", "U+007F"), ("a\u{85}", "U+0085")] {
            let violation = Text::lines(10).check("tree.title", bad.into()).unwrap_err();
            assert_eq!(violation.field, "tree.title");
            assert!(violation.mend.ends_with(code), "{violation}");
        }
        assert!(Text::line(10).check("f", "a\nb".into()).is_err());
        assert!(Text::lines(10).check("f", "a\r\n\tb".into()).is_ok());
    }
}
