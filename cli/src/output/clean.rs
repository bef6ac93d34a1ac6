//! Stored text, made harmless for a terminal.
//!
//! Text comes from other people. A control character in it can move the cursor, change the window's
//! title or answer in the user's place; a mark of direction can make it read as something else.

use std::fmt::Write as _;

/// On one line: line breaks and tabs become spaces, other such characters `�`.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if is_break(c) || c == '\t' { ' ' } else { harmless(c) }).collect()
}

/// On its own lines: line breaks stay, tabs become spaces.
pub(crate) fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if is_break(c) => '\n',
            c => harmless(c),
        })
        .collect()
}

/// JSON says the same with these characters escaped, which stand only inside its strings.
pub(crate) fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unsafe(c) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether a terminal, or a reader, could be misled by it.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control() || is_direction(c) || is_break(c)
}

fn harmless(c: char) -> char {
    if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c }
}

const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

const fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a\x1b[2J\u{9b}b\u{202e}c\u{2066}d\u{7f}e\u{2028}f\tg\r\nh\0";

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        for cleaned in [line(NASTY), lines(NASTY), json(NASTY)] {
            assert!(!cleaned.chars().any(|c| c != '\n' && is_unsafe(c)), "{cleaned:?}");
        }
        assert!(!line(NASTY).contains('\n'));
        assert_eq!(lines("a\r\nb\rc"), "a\nb\nc");
        assert_eq!(line("färöisch 🌲 日本"), "färöisch 🌲 日本");
    }

    #[test]
    fn json_still_says_the_same() {
        let said = serde_json::to_string(NASTY).unwrap();
        assert_eq!(serde_json::from_str::<String>(&json(&said)).unwrap(), NASTY);
    }
}
