//! `evergreen folders mv`.

use clap::Args;
use evergreen_proto::api::v1::MoveFolderRequest;

use crate::{common::Context, errors::Error, names, output::json};

/// Move a folder, with all that is in it, below another or to the top
#[derive(Args, Debug)]
pub(super) struct Mv {
    folder: String,

    /// Its new parent; / for the top
    parent: String,

    /// Its place among its new siblings, the lowest first
    #[arg(long, allow_negative_numbers = true, value_name = "NUMBER")]
    position: Option<i32>,
}

impl Mv {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let folder = names::folder(&api, &self.folder).await?;
        let parent_id = names::place(&api, &self.parent).await?;
        let request = MoveFolderRequest {
            folder_id: folder.folder_id,
            parent_id,
            etag: folder.etag,
            position: self.position,
        };
        let moved = api.clone().move_folder(request).await?.into_inner().folder.unwrap_or_default();
        let sentence = format!("“{}” is now in {}.", moved.name, self.parent);
        context.out.done(&json::folder(&moved), &sentence)
    }
}
