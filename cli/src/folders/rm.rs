//! `evergreen folders rm`.

use clap::Args;
use evergreen_proto::api::v1::DeleteFolderRequest;
use serde_json::json;

use crate::{common::Context, errors::Error, names, output::counted};

/// Delete a folder
#[derive(Args, Debug)]
pub(super) struct Rm {
    folder: String,

    /// Also the folders below it, and the trees in them, which can be restored for a while
    #[arg(long)]
    force: bool,
}

impl Rm {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let folder = names::folder(&api, &self.folder).await?;
        let name = folder.name;
        let request = DeleteFolderRequest {
            folder_id: folder.folder_id.clone(),
            etag: folder.etag,
            force: self.force,
        };
        let gone = api.clone().delete_folder(request).await?.into_inner();
        let (folders, trees) = (gone.deleted_folder_count, gone.deleted_tree_count);
        let sentence = match (folders, trees) {
            (0 | 1, 0) => format!("Deleted “{name}”."),
            _ => format!(
                "Deleted “{name}”: {} and {}.",
                counted(folders, "folder"),
                counted(trees, "tree")
            ),
        };
        let value = json!({
            "folderId": folder.folder_id,
            "deletedFolderCount": folders,
            "deletedTreeCount": trees,
        });
        context.out.done(&value, &sentence)
    }
}
