//! Trees as lines of JSON, as `export` writes them.

use evergreen_proto::api::v1::{NodeKind, Tree, TreeNode, TreeStatus, TreeVisibility};
use serde_json::{Map, Value};

/// The tree that a line holds. What only the server sets is passed over; everything else must be
/// something that is known.
pub(super) fn parse(line: &str) -> Result<Tree, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("no JSON: {e}"))?;
    let fields = object(&value, "a tree")?;
    for name in fields.keys() {
        if !WRITTEN.contains(&name.as_str()) && !PASSED_OVER.contains(&name.as_str()) {
            return Err(format!("a tree has no `{name}`"));
        }
    }
    Ok(Tree {
        title: text(fields, "title")?,
        description: text(fields, "description")?,
        category_id: text(fields, "categoryId")?,
        folder_id: text(fields, "folderId")?,
        status: word(fields, "status", TreeStatus::from_str_name)?.unwrap_or_default().into(),
        visibility: word(fields, "visibility", TreeVisibility::from_str_name)?
            .unwrap_or_default()
            .into(),
        tags: list(fields, "tags")?
            .iter()
            .map(|tag| tag.as_str().map(str::to_owned).ok_or_else(|| must("tags", "texts")))
            .collect::<Result<_, _>>()?,
        nodes: list(fields, "nodes")?.iter().map(node).collect::<Result<_, _>>()?,
        ..Tree::default()
    })
}

fn node(value: &Value) -> Result<TreeNode, String> {
    let fields = object(value, "a node")?;
    if let Some(name) = fields.keys().find(|name| !NODE.contains(&name.as_str())) {
        return Err(format!("a node has no `{name}`"));
    }
    let position = match fields.get("position").unwrap_or(&Value::Null) {
        Value::Null => 0,
        value => value
            .as_i64()
            .and_then(|position| i32::try_from(position).ok())
            .ok_or_else(|| must("position", "a whole number"))?,
    };
    Ok(TreeNode {
        node_id: text(fields, "nodeId")?,
        parent_id: text(fields, "parentId")?,
        kind: word(fields, "kind", NodeKind::from_str_name)?.unwrap_or_default().into(),
        title: text(fields, "title")?,
        body: text(fields, "body")?,
        position,
    })
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} is a JSON object"))
}

/// A field that is not there is empty.
fn text(fields: &Map<String, Value>, name: &str) -> Result<String, String> {
    match fields.get(name).unwrap_or(&Value::Null) {
        Value::Null => Ok(String::new()),
        value => value.as_str().map(str::to_owned).ok_or_else(|| must(name, "a text")),
    }
}

fn list<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], String> {
    match fields.get(name).unwrap_or(&Value::Null) {
        Value::Null => Ok(&[]),
        value => value.as_array().map(Vec::as_slice).ok_or_else(|| must(name, "a list")),
    }
}

fn word<T>(
    fields: &Map<String, Value>,
    name: &str,
    known: fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    match text(fields, name)?.as_str() {
        "" => Ok(None),
        word => known(word).map(Some).ok_or_else(|| format!("`{name}` cannot be {word}")),
    }
}

fn must(name: &str, what: &str) -> String {
    format!("`{name}` must be {what}")
}

const WRITTEN: [&str; 8] =
    ["title", "description", "categoryId", "folderId", "status", "visibility", "tags", "nodes"];
const PASSED_OVER: [&str; 9] = [
    "treeId",
    "etag",
    "createTime",
    "updateTime",
    "ownerId",
    "revision",
    "nodeCount",
    "deleteTime",
    "purgeTime",
];
const NODE: [&str; 6] = ["nodeId", "parentId", "kind", "title", "body", "position"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::json;

    #[test]
    fn what_was_exported_can_be_imported() {
        let tree = Tree {
            tree_id: "id".into(),
            title: "Printer \u{202e}".into(),
            description: "two\nlines".into(),
            status: TreeStatus::Published.into(),
            visibility: TreeVisibility::Shared.into(),
            tags: vec!["a".into(), "b".into()],
            nodes: vec![TreeNode {
                node_id: "n1".into(),
                kind: NodeKind::Solution.into(),
                title: "Done".into(),
                position: -3,
                ..TreeNode::default()
            }],
            revision: 7,
            ..Tree::default()
        };
        let read = parse(&json::tree(&tree).to_string()).unwrap();
        assert_eq!(read, Tree { tree_id: String::new(), revision: 0, ..tree });
        assert_eq!(parse(r#"{"title":"x"}"#).unwrap().title, "x");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, mend) in [
            ("{", "no JSON"),
            ("[]", "JSON object"),
            (r#"{"titel":"x"}"#, "`titel`"),
            (r#"{"title":1}"#, "`title` must be a text"),
            (r#"{"tags":"x"}"#, "`tags` must be a list"),
            (r#"{"tags":[1]}"#, "`tags` must be texts"),
            (r#"{"status":"DONE"}"#, "cannot be DONE"),
            (r#"{"nodes":[{"kind":"QUESTION"}]}"#, "cannot be QUESTION"),
            (r#"{"nodes":[{"position":1.5}]}"#, "whole number"),
            (r#"{"nodes":[{"id":"a"}]}"#, "`id`"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(mend), "{line}: {said}");
        }
    }
}
