//! What a tree read at one time.

use token::clock::Timestamp;

#[cfg(any(test, feature = "simulation"))]
use super::tree::Tree;
use super::{node::Nodes, page::Listed, violation::Violation};

/// How many of a tree's revisions are kept, the newest ones.
pub(crate) const KEPT: i64 = 100;

/// What a tree read from one write to the next; in lists, without its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// Counts from 1.
    pub(crate) number: i64,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    pub(crate) nodes: Nodes,
    pub(crate) node_count: i32,
    pub(crate) created_at: Timestamp,
}

impl Listed for Revision {
    fn text_bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(String::len).sum();
        self.title.len() + self.description.len() + tags
    }
}

/// What the database does, where there is none.
#[cfg(any(test, feature = "simulation"))]
impl Revision {
    /// What the tree reads since it was last written.
    pub(crate) fn of(tree: &Tree) -> Self {
        let content = tree.content.clone();
        Self {
            number: tree.revision,
            title: content.title,
            description: content.description,
            tags: content.tags,
            nodes: content.nodes,
            node_count: tree.node_count,
            created_at: tree.updated_at,
        }
    }

    /// As it is listed.
    pub(crate) fn without_nodes(self) -> Self {
        Self { nodes: Nodes::default(), ..self }
    }
}

/// The number that a request names.
pub(crate) fn number(field: &str, number: i64) -> Result<i64, Violation> {
    if number < 1 {
        return Err(Violation::new(field, "must be a revision, which count from 1"));
    }
    Ok(number)
}
