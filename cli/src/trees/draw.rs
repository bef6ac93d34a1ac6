//! A tree, drawn.

use evergreen_proto::api::v1::TreeNode;

use super::content::{drawn_node, in_order};
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
