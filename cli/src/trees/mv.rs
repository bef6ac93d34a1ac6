//! `evergreen trees mv`.

use clap::Args;
use evergreen_proto::api::v1::{Tree, UpdateTreeRequest};
use prost_types::FieldMask;

use crate::{common::Context, errors::Error, names, output::json};

/// File a tree of yours in a folder; / takes it out of all
#[derive(Args, Debug)]
pub(super) struct Mv {
    /// Id, beginning of an id, or title
    tree: String,

    /// Path, name or id
    folder: String,
}

impl Mv {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let tree = names::tree(&api, &self.tree).await?;
        let folder_id = names::place(&api, &self.folder).await?;
        let sentence = match folder_id.is_empty() {
            true => format!("“{}” is in no folder now.", tree.title),
            false => format!("“{}” is now in {}.", tree.title, self.folder),
        };
        let request = UpdateTreeRequest {
            tree: Some(Tree { folder_id, ..tree }),
            update_mask: Some(FieldMask { paths: vec!["folder_id".to_owned()] }),
        };
        let moved = api.clone().update_tree(request).await?.into_inner().tree.unwrap_or_default();
        context.out.done(&json::tree(&moved), &sentence)
    }
}
