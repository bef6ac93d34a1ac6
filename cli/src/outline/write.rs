//! From a tree to text.

use super::{
    Outline,
    text::{write_block, write_list, write_value},
};
use crate::trees::content::{in_order, mark, status_word, visibility_word};

/// The outline as text, which [`parse`](super::parse) reads.
pub(crate) fn write(outline: &Outline) -> String {
    let mut lines = vec!["---".to_owned()];
    let mut field = |name: &str, value: &str| {
        lines.push(format!("{name}: {value}").trim_end().to_owned());
    };
    field("title", &write_value(&outline.title));
    field("status", status_word(outline.status));
    field("visibility", visibility_word(outline.visibility));
    field("category", &write_value(&outline.category));
    field("folder", &write_value(&outline.folder));
    field("tags", &write_list(&outline.tags));
    lines.push("---".to_owned());
    if !outline.description.is_empty() {
        lines.push(String::new());
        write_block(&outline.description, "", &mut lines);
    }
    lines.push(String::new());
    for (depth, node) in in_order(&outline.nodes) {
        let indent = "  ".repeat(depth);
        let (kind, title, id) = (mark(node.kind()), write_value(&node.title), &node.node_id);
        lines.push(format!("{indent}- {kind} {title} {{#{id}}}"));
        write_block(&node.body, &format!("{indent}  "), &mut lines);
    }
    lines.join("\n") + "\n"
}
