//! `evergreen folders rename`.

use clap::Args;
use evergreen_proto::api::v1::{Folder, UpdateFolderRequest};
use prost_types::FieldMask;

use crate::{common::Context, errors::Error, names, output::json};

/// Give a folder another name
#[derive(Args, Debug)]
pub(super) struct Rename {
    folder: String,

    /// The new name, which is no path: `mv` moves it
    name: String,
}

impl Rename {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let folder = names::folder(&api, &self.folder).await?;
        let was = folder.name.clone();
        let request = UpdateFolderRequest {
            folder: Some(Folder { name: self.name, ..folder }),
            update_mask: Some(FieldMask { paths: vec!["name".to_owned()] }),
        };
        let folder = api.clone().update_folder(request).await?.into_inner().folder;
        let folder = folder.unwrap_or_default();
        let sentence = format!("“{was}” is now “{}”.", folder.name);
        context.out.done(&json::folder(&folder), &sentence)
    }
}
