//! Where a query meets a text.

use std::ops::Range;

use super::{
    document::{Document, searched},
    query::Query,
    words::words,
};
use crate::domain::tree::Content;

/// A piece of a tree that shows why it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snippet {
    /// Each match between U+2068 and U+2069.
    pub(crate) text: String,
    /// Which field it is of.
    pub(crate) field: String,
}

/// Of the field that holds the most of the query's words, the first one at a tie; nothing if none
/// holds any.
pub(crate) fn snippet(content: &Content, query: &Query) -> Snippet {
    let mut best: Option<(usize, Field<'_>)> = None;
    for field in fields(content) {
        let held = held(&field.text(), query);
        if held > best.as_ref().map_or(0, |&(most, _)| most) {
            best = Some((held, field));
            if held == query.len() {
                break;
            }
        }
    }
    best.map_or_else(Snippet::default, |(_, field)| Snippet {
        text: excerpt(&field.text(), query),
        field: field.name(),
    })
}

/// A field that is searched.
#[derive(Clone, Copy)]
enum Field<'a> {
    Title(&'a str),
    Tags(&'a [String]),
    Description(&'a str),
    NodeTitle(usize, &'a str),
    NodeBody(usize, &'a str),
}

/// In the order in which they are searched, and as far as they are.
fn fields(content: &Content) -> impl Iterator<Item = Field<'_>> {
    let mut left = Document::MOST;
    let title = searched(&content.title, &mut left);
    for tag in &content.tags {
        searched(tag, &mut left);
    }
    let description = searched(&content.description, &mut left);
    let head = [Field::Title(title), Field::Tags(&content.tags), Field::Description(description)];
    let nodes = content.nodes.as_slice().iter().enumerate().map_while(move |(i, node)| {
        (left > 0).then(|| {
            let title = Field::NodeTitle(i, searched(&node.title, &mut left));
            [title, Field::NodeBody(i, searched(&node.body, &mut left))]
        })
    });
    head.into_iter().chain(nodes.flatten())
}

impl Field<'_> {
    fn name(&self) -> String {
        match self {
            Self::Title(_) => "title".into(),
            Self::Tags(_) => "tags".into(),
            Self::Description(_) => "description".into(),
            Self::NodeTitle(i, _) => format!("nodes[{i}].title"),
            Self::NodeBody(i, _) => format!("nodes[{i}].body"),
        }
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Title(text)
            | Self::Description(text)
            | Self::NodeTitle(_, text)
            | Self::NodeBody(_, text) => (*text).into(),
            Self::Tags(tags) => tags.join(", ").into(),
        }
    }
}

/// How many of the query's words the text holds.
fn held(text: &str, query: &Query) -> usize {
    let mut seen = vec![false; query.len()];
    for word in words(text) {
        for place in query.places(&word.text) {
            seen[place] = true;
        }
    }
    seen.into_iter().filter(|&seen| seen).count()
}

/// Up to [`MOST`] characters around the first match, with all matches in it marked. What the text
/// itself has of the marks is left out.
fn excerpt(text: &str, query: &Query) -> String {
    let mut matches: Vec<Range<usize>> = Vec::new();
    for word in words(text) {
        // Two words may come of one character, which is marked once.
        let apart = matches.last().is_none_or(|last| last.end <= word.at.start);
        if apart && query.places(&word.text).next().is_some() {
            matches.push(word.at);
        }
    }
    let chars: Vec<(usize, char)> =
        text.char_indices().filter(|(_, c)| !matches!(c, &OPEN | &CLOSE)).collect();
    let first = matches.first().map_or(0, |first| first.start);
    let first = chars.partition_point(|&(at, _)| at < first);
    let begin = first.saturating_sub(BEFORE).min(chars.len().saturating_sub(MOST));
    let shown = &chars[begin..chars.len().min(begin + MOST)];
    let mut excerpt = String::with_capacity(4 * MOST);
    let mut matches = matches.into_iter().peekable();
    let mut open = false;
    for &(at, c) in shown {
        // Also past matches of marks alone, of which nothing is shown.
        while matches.next_if(|next| next.end <= at).is_some() {
            if open {
                excerpt.push(CLOSE);
                open = false;
            }
        }
        if !open && matches.peek().is_some_and(|next| next.contains(&at)) {
            excerpt.push(OPEN);
            open = true;
        }
        excerpt.push(c);
    }
    if open {
        excerpt.push(CLOSE);
    }
    excerpt
}

/// Of a text, without the marks.
const MOST: usize = 160;
/// How many characters before the first match are shown, if the text is long.
const BEFORE: usize = 40;
/// FIRST STRONG ISOLATE: what is marked keeps its direction and lets its neighbours keep theirs.
const OPEN: char = '\u{2068}';
/// POP DIRECTIONAL ISOLATE.
const CLOSE: char = '\u{2069}';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::node::{Node, NodeKind, Nodes};

    fn query(text: &str) -> Query {
        Query::parse("query", text).unwrap()
    }

    /// With brackets for the marks.
    fn shown(text: &str, asked: &str) -> String {
        excerpt(text, &query(asked)).replace(OPEN, "[").replace(CLOSE, "]")
    }

    #[test]
    fn matches_are_marked_as_they_are_written() {
        for (text, asked, expected) in [
            ("No Wi-Fi, no VPN", "vpn wi", "No [Wi]-Fi, no [VPN]"),
            ("Réseau et réseaux", "RESEAU", "[Réseau] et [réseaux]"),
            ("reseaux", "reseau x", "reseaux"),
            ("Re\u{301}seau.", "reseau", "[Re\u{301}seau]."),
            ("½ litre", "1", "[½] litre"),
            ("\u{2068}a\u{2069}b a", "a", "[a]b [a]"),
            ("a\u{2068}b", "b", "a[b]"),
        ] {
            assert_eq!(shown(text, asked), expected, "{asked} in {text}");
        }
    }

    #[test]
    fn a_long_text_is_shown_around_its_first_match() {
        let text = format!("{}needle{}", "ü ".repeat(500), " 🌲".repeat(500));
        let shown = shown(&text, "needle");
        assert!(shown.starts_with(&"ü ".repeat(20)), "{shown}");
        assert!(shown.contains("[needle]"));
        assert_eq!(shown.chars().count(), 162);
        // At its end there is less to come and more from before.
        let shown = self::shown(&format!("{}needle", "ü ".repeat(500)), "needle");
        assert_eq!(shown.chars().count(), 162);
        assert!(shown.ends_with("ü [needle]"));
        let shown = self::shown(&"x".repeat(1_000), "x");
        assert_eq!(shown, format!("[{}]", "x".repeat(160)));
    }

    #[test]
    fn the_field_that_holds_the_most_words_is_shown() {
        let node = Node {
            node_id: "a".into(),
            parent_id: None,
            kind: NodeKind::Action,
            title: "Restart it".into(),
            body: "the router and the modem".into(),
            position: 0,
        };
        let content = Content {
            title: "Router".into(),
            description: "When the modem blinks".into(),
            tags: vec!["lan".into(), "modem".into()],
            nodes: Nodes::parse("", vec![node]).unwrap(),
            ..Content::default()
        };
        for (asked, field, text) in [
            ("router", "title", "[Router]"),
            ("modem", "tags", "lan, [modem]"),
            ("modem blinks", "description", "When the [modem] [blinks]"),
            ("restart", "nodes[0].title", "[Restart] it"),
            ("modem router", "nodes[0].body", "the [router] and the [modem]"),
            ("printer", "", ""),
        ] {
            let found = snippet(&content, &query(asked));
            let shown = found.text.replace(OPEN, "[").replace(CLOSE, "]");
            assert_eq!((found.field.as_str(), shown.as_str()), (field, text), "{asked}");
        }
    }

    #[test]
    fn a_snippet_is_of_what_is_searched() {
        let node = |i: usize| Node {
            node_id: i.to_string(),
            parent_id: (i > 0).then(|| "0".to_owned()),
            kind: NodeKind::Action,
            title: format!("Step{i}"),
            body: format!("{} last{i}", "ü ".repeat(9_990)),
            position: 0,
        };
        let nodes = Nodes::parse("", (0..6).map(node).collect()).unwrap();
        let content = Content { title: "Title".into(), nodes, ..Content::default() };
        let document = Document::of(&content);
        for (asked, field) in [
            ("last4", "nodes[4].body"),
            ("step4", "nodes[4].title"),
            ("step5", "nodes[5].title"),
            ("last5", ""),
        ] {
            assert_eq!(snippet(&content, &query(asked)).field, field, "{asked}");
            assert_eq!(document.text.contains(asked), !field.is_empty(), "{asked}");
        }
    }

    proptest! {
        #[test]
        fn an_excerpt_is_a_piece_of_the_text_with_balanced_marks(
            text in "([a-cé½か\u{301}\u{2068}\u{2069} ]|\\PC){0,400}",
            asked in "[a-c]{1,2}( [a-c]){0,2}",
        ) {
            let query = query(&asked);
            let excerpt = excerpt(&text, &query);
            let mut open = false;
            for c in excerpt.chars().filter(|c| matches!(c, &OPEN | &CLOSE)) {
                prop_assert_eq!(c == OPEN, !open, "{}", excerpt);
                open = !open;
            }
            prop_assert!(!open);
            let bare = |text: &str| text.replace([OPEN, CLOSE], "");
            prop_assert!(bare(&text).contains(&bare(&excerpt)));
            let length = bare(&text).chars().count().min(MOST);
            prop_assert_eq!(bare(&excerpt).chars().count(), length);
            prop_assert_eq!(excerpt.contains(OPEN), held(&text, &query) > 0);
        }
    }
}
