//! The nodes of a tree as every backend stores them: one JSON array. It is not the form of the wire,
//! so that neither binds the other.

use serde::{Deserialize, Serialize};

use crate::domain::node::{Node, NodeKind, Nodes};

#[derive(Deserialize, Serialize)]
struct StoredNode<T> {
    node_id: T,
    /// Null: the root.
    parent_id: Option<T>,
    kind: StoredKind,
    title: T,
    body: T,
    position: i32,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum StoredKind {
    Action,
    Question,
    Solution,
}

/// The text to store.
pub(super) fn write(nodes: &Nodes) -> String {
    fn stored(node: &Node) -> StoredNode<&str> {
        let Node { node_id, parent_id, kind, title, body, position } = node;
        StoredNode {
            node_id: node_id.as_str(),
            parent_id: parent_id.as_deref(),
            kind: match kind {
                NodeKind::Action => StoredKind::Action,
                NodeKind::Question => StoredKind::Question,
                NodeKind::Solution => StoredKind::Solution,
            },
            title,
            body,
            position: *position,
        }
    }
    let stored: Vec<_> = nodes.as_slice().iter().map(stored).collect();
    serde_json::to_string(&stored).expect("nodes are plain values")
}

/// The nodes that were stored; `None` for a text that no version of this program writes.
pub(super) fn read(text: &str) -> Option<Nodes> {
    let stored: Vec<StoredNode<String>> = serde_json::from_str(text).ok()?;
    let node = |stored: StoredNode<String>| Node {
        node_id: stored.node_id,
        parent_id: stored.parent_id,
        kind: match stored.kind {
            StoredKind::Action => NodeKind::Action,
            StoredKind::Question => NodeKind::Question,
            StoredKind::Solution => NodeKind::Solution,
        },
        title: stored.title,
        body: stored.body,
        position: stored.position,
    };
    Nodes::parse("", stored.into_iter().map(node).collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored is read by every later version: this text must stay readable.
    #[test]
    fn the_stored_form_stays_as_it_is() {
        let text = r#"[{"node_id":"a","parent_id":null,"kind":"question","title":"Ü?","body":"x\ny","position":-1},{"node_id":"b","parent_id":"a","kind":"action","title":"t","body":"","position":0},{"node_id":"c","parent_id":"a","kind":"solution","title":"t","body":"","position":2}]"#;
        let nodes = read(text).unwrap();
        assert_eq!(nodes.count(), 3);
        assert_eq!(write(&nodes), text);
        assert_eq!(write(&read("[]").unwrap()), "[]");
    }

    #[test]
    fn what_was_never_written_is_not_read() {
        let node = r#"{"node_id":"a","parent_id":null,"kind":"action","title":"t","body":"","position":0}"#;
        assert!(read(&format!("[{node}]")).is_some());
        for bad in [
            String::new(),
            "{}".into(),
            "null".into(),
            format!("[{}]", node.replace("action", "dance")),
            format!("[{}]", node.replace("null", "\"gone\"")),
            format!("[{}]", node.replace("\"body\":\"\",", "")),
            format!("[{node},{node}]"),
        ] {
            assert!(read(&bad).is_none(), "{bad}");
        }
    }
}
