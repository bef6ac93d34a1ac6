//! What is stored of a tree.

use std::collections::BTreeSet;

use evergreen_proto::api::v1::TreeVisibility;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    bench::scale::{bare::stored, fill::tree},
    lab::Failure,
};

pub(super) struct Row {
    pub(super) number: i64,
    pub(super) id: Uuid,
    pub(super) folder_id: Uuid,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) shared: bool,
    pub(super) tags: String,
    pub(super) node_count: i32,
    pub(super) nodes: String,
    pub(super) etag: String,
    /// The words of title and tags, and those of the rest.
    pub(super) head: String,
    pub(super) text: String,
}

impl Row {
    pub(super) fn of(number: u32, folder_id: &str) -> Result<Self, Failure> {
        let tree = tree(0, number, "");
        let nodes: Vec<Value> = tree.nodes.iter().map(stored).collect();
        let head = [&tree.title].into_iter().chain(&tree.tags);
        let text = tree.nodes.iter().flat_map(|node| [&node.title, &node.body]);
        Ok(Self {
            number: i64::from(number) + 1,
            // As ids are that begin with the time.
            id: Uuid::from_u128((0x0199_ffff_0000_7000_8000 << 48) | u128::from(number)),
            folder_id: folder_id.parse()?,
            head: words(head),
            text: words(text.chain([&tree.description])),
            title: tree.title,
            description: tree.description,
            shared: tree.visibility == i32::from(TreeVisibility::Shared),
            tags: json!(tree.tags).to_string(),
            node_count: i32::try_from(nodes.len())?,
            nodes: json!(nodes).to_string(),
            etag: format!("{number:016x}"),
        })
    }

    pub(super) fn visibility(&self) -> &'static str {
        if self.shared { "shared" } else { "private" }
    }

    /// What the tree's change is to others.
    pub(super) fn shared_kind(&self) -> Option<&'static str> {
        self.shared.then_some("created")
    }
}

/// Of texts that are plain.
fn words<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let words = texts.flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    let words: BTreeSet<_> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.into_iter().collect::<Vec<_>>().join(" ")
}

pub(super) const OWNER: &str = "0199ffff-7000-7000-8000-000000000000";
