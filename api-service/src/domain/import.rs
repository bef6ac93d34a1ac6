//! What an import has created, so that it can go on.

use aws_lc_rs::digest::{Context, SHA256, digest};

use super::{node::NodeKind, tree::Content, tree::Status, tree::Visibility, violation::Violation};

/// How far an import has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// How many trees it has created.
    pub(crate) created: i64,
    /// Tells these trees and their order from all others.
    pub(crate) digest: [u8; 32],
}

impl Progress {
    /// With one more tree.
    pub(crate) fn with(&self, content: &Content) -> Self {
        let mut chain = Context::new(&SHA256);
        chain.update(&self.digest);
        chain.update(digest(&SHA256, &encoded(content)).as_ref());
        let mut next = Self { created: self.created + 1, digest: [0; 32] };
        next.digest.copy_from_slice(chain.finish().as_ref());
        next
    }
}

/// The key that names an import, if it may be one.
pub(crate) fn key(field: &str, text: &[u8]) -> Result<String, Violation> {
    let good = (16..=64).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
    let key = good.then(|| String::from_utf8_lossy(text).into_owned());
    key.ok_or_else(|| Violation::new(field, "must be 16 to 64 visible ASCII characters"))
}

/// Everything that a writer says of a tree. Imports outlive versions of this program, so what is
/// written here does not change.
fn encoded(content: &Content) -> Vec<u8> {
    let Content { title, description, category_id, folder_id, status, visibility, tags, nodes } =
        content;
    let status = match status {
        Status::Archived => "archived",
        Status::Draft => "draft",
        Status::Published => "published",
    };
    let visibility = match visibility {
        Visibility::Private => "private",
        Visibility::Shared => "shared",
    };
    let nodes: Vec<_> = nodes
        .as_slice()
        .iter()
        .map(|node| {
            let kind = match node.kind {
                NodeKind::Action => "action",
                NodeKind::Question => "question",
                NodeKind::Solution => "solution",
            };
            (&node.node_id, &node.parent_id, kind, &node.title, &node.body, node.position)
        })
        .collect();
    let ids = (category_id.map(|id| id.0), folder_id.map(|id| id.0));
    serde_json::to_vec(&(title, description, ids, status, visibility, tags, nodes))
        .expect("these are tuples of plain values")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(titles: &[&str]) -> Progress {
        titles.iter().fold(Progress::default(), |progress, &title| {
            progress.with(&Content { title: title.into(), ..Content::default() })
        })
    }

    #[test]
    fn other_trees_and_another_order_are_another_import() {
        let ab = chain(&["a", "b"]);
        assert_eq!(ab, chain(&["a"]).with(&Content { title: "b".into(), ..Content::default() }));
        assert_eq!(ab.created, 2);
        for other in [&["a"][..], &["b", "a"], &["ab"], &["a", "b", "b"], &["a", "c"], &[]] {
            assert_ne!(ab.digest, chain(other).digest, "{other:?}");
        }
        let shared =
            Content { title: "b".into(), visibility: Visibility::Shared, ..Content::default() };
        assert_ne!(ab, chain(&["a"]).with(&shared));
    }

    #[test]
    fn a_digest_means_the_same_in_every_version() {
        let hex: String = chain(&["a"]).digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "35dfa90f00c2fe68396e2021b3071044de4a09f84350832fc9bf9a5d0246cd6c");
    }

    #[test]
    fn a_key_is_visible_ascii_of_bounded_length() {
        let long = "k".repeat(64);
        for good in ["0123456789abcdef", "!!!!!!!!!!!!!!!~", &long] {
            assert_eq!(key("k", good.as_bytes()).as_deref(), Ok(good));
        }
        for bad in ["", "0123456789abcde", "0123456789abcde ", "0123456789abcdeü", &(long + "k")] {
            assert_eq!(key("k", bad.as_bytes()).unwrap_err().field, "k", "{bad}");
        }
    }
}
