//! What trees are made of, as this command line names it.

use std::collections::HashMap;

use clap::ValueEnum;
use evergreen_proto::api::v1::{NodeKind, TreeNode, TreeStatus, TreeVisibility};

use crate::{output::clean, paint};

/// How far a tree has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    Draft,
    Published,
    Archived,
}

/// Who may read a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Visibility {
    /// Its owner alone
    Private,
    /// Everybody who is logged in; its earlier revisions become readable with the tree
    Shared,
}

impl From<Status> for TreeStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Draft => Self::Draft,
            Status::Published => Self::Published,
            Status::Archived => Self::Archived,
        }
    }
}

impl From<Visibility> for TreeVisibility {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Private => Self::Private,
            Visibility::Shared => Self::Shared,
        }
    }
}

pub(crate) const fn status_word(status: TreeStatus) -> &'static str {
    match status {
        TreeStatus::Unspecified => "",
        TreeStatus::Draft => "draft",
        TreeStatus::Published => "published",
        TreeStatus::Archived => "archived",
    }
}

pub(crate) const fn visibility_word(visibility: TreeVisibility) -> &'static str {
    match visibility {
        TreeVisibility::Unspecified => "",
        TreeVisibility::Private => "private",
        TreeVisibility::Shared => "shared",
    }
}

/// `?` asks, `!` tells what to do, `=` ends the walk.
pub(crate) const fn mark(kind: NodeKind) -> char {
    match kind {
        NodeKind::Unspecified => '*',
        NodeKind::Question => '?',
        NodeKind::Action => '!',
        NodeKind::Solution => '=',
    }
}

/// The kind that a mark stands for.
pub(crate) const fn kind_of(mark: char) -> Option<NodeKind> {
    match mark {
        '?' => Some(NodeKind::Question),
        '!' => Some(NodeKind::Action),
        '=' => Some(NodeKind::Solution),
        _ => None,
    }
}

/// Every node with its depth, parents before their children, siblings by position.
pub(crate) fn in_order(nodes: &[TreeNode]) -> Vec<(usize, &TreeNode)> {
    let mut children: HashMap<&str, Vec<&TreeNode>> = HashMap::new();
    for node in nodes {
        children.entry(&node.parent_id).or_default().push(node);
    }
    for siblings in children.values_mut() {
        // Backwards, since the walk takes from the end; equal positions keep their order.
        siblings.sort_by_key(|node| node.position);
        siblings.reverse();
    }
    let mut walk = Vec::with_capacity(nodes.len());
    let mut ahead: Vec<_> =
        children.remove("").unwrap_or_default().into_iter().map(|node| (0, node)).collect();
    while let Some((depth, node)) = ahead.pop() {
        walk.push((depth, node));
        let below = children.remove(node.node_id.as_str()).unwrap_or_default();
        ahead.extend(below.into_iter().map(|node| (depth + 1, node)));
    }
    walk
}

/// One node on a line.
pub(crate) fn drawn_node(node: &TreeNode) -> String {
    let style = match node.kind() {
        NodeKind::Question => paint::HEADING,
        NodeKind::Action | NodeKind::Unspecified => anstyle::Style::new(),
        NodeKind::Solution => paint::GOOD,
    };
    paint::styled(style, format_args!("{} {}", mark(node.kind()), clean::line(&node.title)))
}
