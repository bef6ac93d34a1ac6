//! `evergreen folders tree`.

use clap::Args;
use evergreen_proto::api::v1::FolderEntry;
use serde_json::{Value, json};

use crate::{
    common::Context,
    errors::Error,
    names,
    output::{clean, counted, drawn, json},
    paint,
};

/// A folder and all below it, or all folders, drawn
#[derive(Args, Debug)]
pub(super) struct Tree {
    #[arg(default_value = "/")]
    folder: String,
}

impl Tree {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let folder_id = names::place(&api, &self.folder).await?;
        let entries = names::Folders::read(&api, &folder_id).await?.entries;
        if context.out.is_json() {
            let entries: Value = entries.iter().map(value).collect();
            return context.out.value(&json!({ "entries": entries }));
        }
        if entries.is_empty() {
            context.out.note("No folders.");
            return Ok(());
        }
        context.out.line(drawn::forest(&entries.iter().map(drawn).collect::<Vec<_>>()))
    }
}

fn value(entry: &FolderEntry) -> Value {
    json!({
        "folder": entry.folder.as_ref().map(json::folder),
        "depth": entry.depth,
        "treeCount": entry.tree_count,
    })
}

fn drawn(entry: &FolderEntry) -> (usize, String) {
    let name = entry.folder.as_ref().map_or("", |folder| &folder.name);
    let mut text = clean::line(name);
    if entry.tree_count > 0 {
        let trees = format!("  {}", counted(entry.tree_count, "tree"));
        text.push_str(&paint::styled(paint::FAINT, trees));
    }
    (usize::try_from(entry.depth).unwrap_or_default(), text)
}
