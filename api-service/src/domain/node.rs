//! The steps of a tree: a flat list whose `parent_id`s make one tree.

use std::collections::{HashMap, hash_map::Entry};

use super::{text::Text, violation::Violation};

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Action,
    Question,
    Solution,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) node_id: String,
    /// `None` for the root.
    pub(crate) parent_id: Option<String>,
    pub(crate) kind: NodeKind,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) position: i32,
}

/// The steps of one tree: none yet, or one root with everything else below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nodes(Vec<Node>);

impl Nodes {
    pub(crate) const MOST: usize = 5_000;
    pub(crate) const DEEPEST: usize = 100;

    /// The nodes, if they keep to the rules; `field` is where they stand in the request.
    ///
    /// The work grows with the number of nodes, which is bounded first, and with nothing else: no
    /// step is deeper on the stack for a deeper tree.
    pub(crate) fn parse(field: &str, nodes: Vec<Node>) -> Result<Self, Violation> {
        Self::check_count(field, nodes.len())?;
        let parsed: Result<Vec<_>, _> = nodes
            .into_iter()
            .enumerate()
            .map(|(i, node)| node.check(&|part| format!("{field}[{i}].{part}")))
            .collect();
        let nodes = parsed?;
        check_shape(field, &nodes)?;
        Ok(Self(nodes))
    }

    /// Asked on its own before the nodes are even converted.
    pub(crate) fn check_count(field: &str, count: usize) -> Result<(), Violation> {
        if count > Self::MOST {
            let most = Self::MOST;
            return Err(Violation::new(field, format!("must hold at most {most} nodes")));
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> i32 {
        i32::try_from(self.0.len()).unwrap_or(i32::MAX)
    }

    /// How long ids, titles and bodies are.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |Node { node_id, parent_id, title, body, .. }: &Node| {
            let parent_id = parent_id.as_ref().map_or(0, String::len);
            node_id.len() + parent_id + title.len() + body.len()
        };
        self.0.iter().map(bytes).sum()
    }

    pub(crate) fn as_slice(&self) -> &[Node] {
        &self.0
    }

    pub(crate) fn into_vec(self) -> Vec<Node> {
        self.0
    }
}

impl Node {
    /// The node, if it keeps to the rules; `field` says where a part of it stands in the request.
    fn check(self, field: &dyn Fn(&str) -> String) -> Result<Self, Violation> {
        let id = &self.node_id;
        if !(1..=64).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_graphic()) {
            let mend = "must be 1 to 64 visible ASCII characters";
            return Err(Violation::new(field("node_id"), mend));
        }
        let text = |rule: Text, part: &str, text: String| {
            rule.check(part, text).map_err(|bad| Violation { field: field(part), ..bad })
        };
        Ok(Self {
            title: text(Text::line(500), "title", self.title)?,
            body: text(Text::lines(20_000), "body", self.body)?,
            ..self
        })
    }
}

/// One root, known parents, unique ids, no cycle, not too deep.
fn check_shape(field: &str, nodes: &[Node]) -> Result<(), Violation> {
    let bad = |i: usize, part: &str, mend: String| {
        Err(Violation::new(format!("{field}[{i}].{part}"), mend))
    };
    let mut place = HashMap::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        match place.entry(node.node_id.as_str()) {
            Entry::Vacant(entry) => {
                entry.insert(i);
            }
            Entry::Occupied(entry) => {
                let mend = format!("must be unique in the tree; nodes[{}] has it", entry.get());
                return bad(i, "node_id", mend);
            }
        }
    }
    let mut root = None;
    let mut children = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        match (&node.parent_id, root) {
            (None, None) => root = Some(i),
            (None, Some(first)) => {
                let mend = format!("must name a parent: nodes[{first}] is the root already");
                return bad(i, "parent_id", mend);
            }
            (Some(parent), _) => match place.get(parent.as_str()) {
                Some(&parent) => children[parent].push(i),
                None => return bad(i, "parent_id", "must be the node_id of a node here".into()),
            },
        }
    }
    let Some(root) = root else {
        return match nodes {
            [] => Ok(()),
            _ => Err(Violation::new(field, "must have a root, a node with an empty parent_id")),
        };
    };
    let mut depth = vec![0; nodes.len()];
    depth[root] = 1;
    let mut open = vec![root];
    while let Some(i) = open.pop() {
        if depth[i] > Nodes::DEEPEST {
            let mend = format!("must not lie more than {} deep", Nodes::DEEPEST);
            return bad(i, "parent_id", mend);
        }
        for &child in &children[i] {
            depth[child] = depth[i] + 1;
            open.push(child);
        }
    }
    // Whatever has a parent and was not reached from the root hangs on a ring.
    match depth.iter().position(|&depth| depth == 0) {
        Some(i) => bad(i, "parent_id", "must lead to the root; it leads in a circle".into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(id: &str, parent: &str) -> Node {
        Node {
            node_id: id.into(),
            parent_id: (!parent.is_empty()).then(|| parent.into()),
            kind: NodeKind::Question,
            title: "title".into(),
            body: String::new(),
            position: 0,
        }
    }

    fn parse(pairs: &[(&str, &str)]) -> Result<Nodes, Violation> {
        Nodes::parse("tree.nodes", pairs.iter().map(|(id, parent)| node(id, parent)).collect())
    }

    fn chain(length: usize) -> Result<Nodes, Violation> {
        let parent = |i: usize| if i == 0 { String::new() } else { (i - 1).to_string() };
        // The deepest first, so that the order of the list is of no help.
        let nodes = (0..length).rev().map(|i| node(&i.to_string(), &parent(i))).collect();
        Nodes::parse("tree.nodes", nodes)
    }

    #[test]
    fn a_tree_has_one_root_or_no_nodes() {
        assert!(parse(&[]).is_ok());
        assert!(parse(&[("a", "")]).is_ok());
        assert!(parse(&[("c", "b"), ("b", "a"), ("a", ""), ("d", "a")]).is_ok());
    }

    #[test]
    fn what_is_not_a_tree_is_named() {
        for (nodes, field) in [
            (&[("a", ""), ("b", "")][..], "tree.nodes[1].parent_id"),
            (&[("a", ""), ("b", "x")], "tree.nodes[1].parent_id"),
            (&[("a", ""), ("a", "a")], "tree.nodes[1].node_id"),
            (&[("a", "a")], "tree.nodes"),
            (&[("a", "b"), ("b", "a")], "tree.nodes"),
            (&[("r", ""), ("a", "a")], "tree.nodes[1].parent_id"),
            (&[("r", ""), ("x", "r"), ("a", "b"), ("b", "a")], "tree.nodes[2].parent_id"),
            (&[("", "")], "tree.nodes[0].node_id"),
            (&[("a b", "")], "tree.nodes[0].node_id"),
            (&[("é", "")], "tree.nodes[0].node_id"),
        ] {
            assert_eq!(parse(nodes).unwrap_err().field, field, "{nodes:?}");
        }
        let long = "x".repeat(65);
        assert_eq!(parse(&[(&long, "")]).unwrap_err().field, "tree.nodes[0].node_id");
        let mut untitled = node("a", "");
        untitled.title = "a\0".into();
        let violation = Nodes::parse("tree.nodes", vec![untitled]).unwrap_err();
        assert_eq!(violation.field, "tree.nodes[0].title");
    }

    #[test]
    fn depth_and_number_are_bounded() {
        assert!(chain(Nodes::DEEPEST).is_ok());
        assert_eq!(chain(Nodes::DEEPEST + 1).unwrap_err().field, "tree.nodes[0].parent_id");
        assert!(chain(Nodes::MOST).unwrap_err().field.ends_with(".parent_id"));
        for many in [Nodes::MOST + 1, 10_000, 100_000] {
            assert_eq!(chain(many).unwrap_err().field, "tree.nodes", "{many}");
        }
        let mut wide: Vec<_> = (1..Nodes::MOST).map(|i| node(&i.to_string(), "0")).collect();
        wide.push(node("0", ""));
        assert_eq!(Nodes::parse("tree.nodes", wide).unwrap().as_slice().len(), Nodes::MOST);
    }

    proptest! {
        /// Any list at all: what is accepted is a tree, and a tree is accepted.
        #[test]
        fn exactly_the_trees_are_accepted(parents in prop::collection::vec(0_usize..14, 0..12)) {
            // A parent beyond the list's end stands for none.
            let nodes: Vec<_> = parents
                .iter()
                .enumerate()
                .map(|(i, &parent)| {
                    let parent =
                        if parent < parents.len() { parent.to_string() } else { String::new() };
                    node(&i.to_string(), &parent)
                })
                .collect();
            let roots = parents.iter().filter(|&&parent| parent >= parents.len()).count();
            let leads_out = |mut i: usize| {
                for _ in 0..=parents.len() {
                    match parents.get(i) {
                        Some(&parent) => i = parent,
                        None => return true,
                    }
                }
                false
            };
            let tree = parents.is_empty() || (roots == 1 && (0..parents.len()).all(leads_out));
            prop_assert_eq!(Nodes::parse("tree.nodes", nodes).is_ok(), tree);
        }
    }
}
