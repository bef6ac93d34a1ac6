//! What is written is read again, and what cannot be read is said by line.

use proptest::prelude::*;

use super::*;
use evergreen_proto::api::v1::NodeKind;

const EXAMPLE: &str = r#"---
title: Printer does not print
status: published
visibility: shared
category: hardware
folder: /IT/Printers
tags: printer, "a, b"
---

Two lines
\- of which one begins with a dash

- ? Is the lamp green? {#lamp}
  Look at the front.

    The big one.
  - ! Yes: print a test page {#test}
    - = "It\nprints" {#n1}
  - = No: switch it on
  - ? Or blinking
"#;

#[test]
fn an_outline_is_a_tree() {
    let outline = parse(EXAMPLE).unwrap();
    assert_eq!(outline.title, "Printer does not print");
    assert_eq!(outline.description, "Two lines\n- of which one begins with a dash");
    assert_eq!(outline.tags, ["printer", "a, b"]);
    let nodes: Vec<_> = outline
        .nodes
        .iter()
        .map(|n| (&*n.node_id, &*n.parent_id, n.kind(), &*n.title, &*n.body, n.position))
        .collect();
    use NodeKind::{Action, Question, Solution};
    assert_eq!(
        nodes,
        [
            ("lamp", "", Question, "Is the lamp green?", "Look at the front.\n\n  The big one.", 0),
            ("test", "lamp", Action, "Yes: print a test page", "", 0),
            ("n1", "test", Solution, "It\nprints", "", 0),
            ("n2", "lamp", Solution, "No: switch it on", "", 1),
            ("n3", "lamp", Question, "Or blinking", "", 2),
        ]
    );
    let windows = EXAMPLE.replace('\n', "\r\n");
    assert_eq!(parse(&windows).unwrap(), outline);
    assert_eq!(parse(&write(&outline)).unwrap(), outline);
}

#[test]
fn what_the_documents_show_is_an_outline() {
    let sample = include_str!("../../../docs/samples/coffee.md");
    assert_eq!(write(&parse(sample).unwrap()), sample);
    let shown = include_str!("../../../docs/CLI.md").split("```text\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap();
    assert_eq!(parse(shown).unwrap().nodes.len(), 3);
}

#[test]
fn what_cannot_be_read_is_said_by_line_and_mend() {
    let head = "---\ntitle: T\n---\n";
    for (text, line, mend) in [
        ("", 1, "begins with `---`"),
        ("---\ntitle: T\n", 3, "no end"),
        ("---\nstatus: draft\n---\n", 3, "`title: …`"),
        ("---\ntitle: T\ntitle: U\n---\n", 3, "twice"),
        ("---\ntitel: T\n---\n", 2, "there is no `titel`"),
        ("---\ntitle T\n---\n", 2, "`name: value`"),
        ("---\ntitle: T\nstatus: done\n---\n", 3, "draft, published, archived"),
        ("---\ntitle: \"T\n---\n", 2, "JSON string"),
        ("---\ntitle: T\ntags: a, \"b\n---\n", 3, "\" is missing"),
        (&format!("{head}- Question\n"), 4, "`- ?`"),
        (&format!("{head}- ?\n"), 4, "has a title"),
        (&format!("{head}- ? A\n- ? B\n"), 5, "one root"),
        (&format!("{head}- ? A\n   - ? B\n"), 5, "at most 2"),
        (&format!("{head}- ? A\n    - ? B\n"), 5, "at most 2"),
        (&format!("{head}- ? A\n\t- ? B\n"), 5, "by spaces"),
        (&format!("{head}- ? A\nbody\n"), 5, "indent it by 2 spaces for “A”"),
        (&format!("{head}- ? A\n  - = B\n  body\n"), 6, "indent it by 4 spaces for “B”"),
        (&format!("{head}- ? A {{#x}}\n  - = B {{#x}}\n"), 5, "line 4 already"),
        (&format!("{head}- ? A {{#ä}}\n"), 4, "visible ASCII"),
        (&format!("{head}\\\"open\n"), 4, "JSON string"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text:?}: {error}");
        assert!(error.mend.contains(mend), "{text:?}: {error}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z -]{0,12}",
        "[ \\t\\r\\n\\\\\"{}#:,?!=a-\u{e4}\u{202e}\u{85}-]{0,24}",
        "\\PC{0,16}",
        any::<String>(),
    ]
}

fn nodes() -> impl Strategy<Value = Vec<TreeNode>> {
    let node = (any::<prop::sample::Index>(), 1..=3, text(), text(), "[!-~]{1,8}");
    proptest::collection::vec(node, 0..12).prop_map(|drawn| {
        let mut nodes: Vec<TreeNode> = Vec::new();
        for (i, (parent, kind, title, body, id)) in drawn.into_iter().enumerate() {
            let parent = (i > 0).then(|| parent.index(i));
            let parent_id = parent.map_or_else(String::new, |parent| nodes[parent].node_id.clone());
            let siblings = nodes.iter().filter(|node| node.parent_id == parent_id).count();
            nodes.push(TreeNode {
                node_id: format!("{i}{id}"),
                parent_id,
                kind,
                title: format!("t{title}"),
                body,
                position: i32::try_from(siblings).unwrap(),
            });
        }
        crate::trees::content::in_order(&nodes).into_iter().map(|(_, node)| node.clone()).collect()
    })
}

proptest! {
    #[test]
    fn any_tree_survives_its_outline(
        title in text(),
        description in text(),
        (category, folder) in (text(), text()),
        tags in proptest::collection::vec(text(), 0..4),
        (status, visibility) in (1..=3, 1..=2),
        nodes in nodes(),
    ) {
        let outline = Outline {
            title: format!("t{title}"),
            description,
            status: TreeStatus::try_from(status).unwrap(),
            visibility: TreeVisibility::try_from(visibility).unwrap(),
            category,
            folder,
            tags,
            nodes,
        };
        let written = write(&outline);
        let unsafe_in = |c: char| c != '\n' && c != '\t' && crate::output::clean::is_unsafe(c);
        prop_assert!(!written.contains(unsafe_in), "{written:?}");
        let read = parse(&written).map_err(|e| TestCaseError::fail(format!("{e}\n{written}")))?;
        prop_assert_eq!(&read, &outline, "{}", written);
        prop_assert_eq!(write(&read), written);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(---\n)?(title: x\n---\n)?[ \\-?!=\\\\{}#a\"\n]{0,60}") {
        let _ = parse(&text);
    }
}
