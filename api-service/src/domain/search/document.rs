//! What is searched of a tree.

use std::collections::BTreeSet;

use super::words::each_word;
use crate::domain::tree::Content;

/// Counts up whenever the same tree would have other words than before; documents of another
/// version are made anew.
pub(crate) const VERSION: i64 = 1;

/// The words of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// Of title and tags.
    pub(crate) head: BTreeSet<String>,
    /// Of description and nodes.
    pub(crate) text: BTreeSet<String>,
}

impl Document {
    /// How many characters of a tree are searched.
    pub(super) const MOST: usize = 100_000;

    pub(crate) fn of(content: &Content) -> Self {
        let mut left = Self::MOST;
        let mut document = Self::default();
        add(&mut document.head, &content.title, &mut left);
        for tag in &content.tags {
            add(&mut document.head, tag, &mut left);
        }
        add(&mut document.text, &content.description, &mut left);
        for node in content.nodes.as_slice() {
            add(&mut document.text, &node.title, &mut left);
            add(&mut document.text, &node.body, &mut left);
        }
        document
    }
}

/// Adds what is among the characters that are left.
fn add(to: &mut BTreeSet<String>, text: &str, left: &mut usize) {
    each_word(searched(text, left), |word| {
        // Most words of a tree come again and again.
        if !to.contains(word) {
            to.insert(word.to_owned());
        }
    });
}

/// What of a text is among the characters that are left.
pub(super) fn searched<'a>(text: &'a str, left: &mut usize) -> &'a str {
    if *left == 0 {
        return "";
    }
    if text.len() <= *left {
        *left -= text.chars().count();
        return text;
    }
    let end = text.char_indices().nth(*left).map_or(text.len(), |(at, _)| at);
    let searched = &text[..end];
    *left -= searched.chars().count();
    searched
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::node::{Node, NodeKind, Nodes};

    fn content(bodies: &[String]) -> Content {
        let node = |(i, body): (usize, &String)| Node {
            node_id: i.to_string(),
            parent_id: (i > 0).then(|| "0".to_owned()),
            kind: NodeKind::Action,
            title: format!("Step{i}"),
            body: body.clone(),
            position: 0,
        };
        Content {
            title: "The title".into(),
            tags: vec!["Wi-Fi".into()],
            description: "what it is about".into(),
            nodes: Nodes::parse("", bodies.iter().enumerate().map(node).collect()).unwrap(),
            ..Content::default()
        }
    }

    #[test]
    fn title_and_tags_are_the_head() {
        let document = Document::of(&content(&["body".into()]));
        let sorted = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let head: BTreeSet<String> = sorted(&["fi", "the", "title", "wi"]);
        let text: BTreeSet<String> = sorted(&["about", "body", "is", "it", "step0", "what"]);
        assert_eq!(document, Document { head, text });
    }

    #[test]
    fn what_is_beyond_a_hundred_thousand_characters_is_not_searched() {
        // Bodies of characters of two bytes, so that bytes are not what is counted.
        let bodies: Vec<_> = (0..6).map(|i| format!("{} last{i}", "ü ".repeat(9_990))).collect();
        let document = Document::of(&content(&bodies));
        assert!(document.text.contains("last4"));
        assert!(!document.text.contains("last5"));
    }
}
