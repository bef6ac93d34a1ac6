//! A tree, drawn.

use evergreen_proto::api::v1::{NodeKind, TreeNode};

use super::content::{in_order, mark};
use crate::{
    output::{clean, drawn},
    paint,
};

/// A tree's nodes with lines between them: each marked by its kind, its body below it.
pub(super) fn drawn_nodes(nodes: &[TreeNode]) -> String {
    let entries: Vec<_> = in_order(nodes)
        .into_iter()
        .map(|(depth, node)| {
            let mut text = drawn_node(node);
            if !node.body.is_empty() {
                for line in clean::lines(&node.body).lines() {
                    // An empty line has to be there to be drawn.
                    text.push('\n');
                    text.push_str(&paint::styled(paint::FAINT, line));
                }
            }
            (depth, text)
        })
        .collect();
    drawn::forest(&entries)
}

/// One node on a line.
fn drawn_node(node: &TreeNode) -> String {
    let style = match node.kind() {
        NodeKind::Question => paint::HEADING,
        NodeKind::Action | NodeKind::Unspecified => anstyle::Style::new(),
        NodeKind::Solution => paint::GOOD,
    };
    paint::styled(style, format_args!("{} {}", mark(node.kind()), clean::line(&node.title)))
}
