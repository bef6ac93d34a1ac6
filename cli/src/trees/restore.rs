//! `evergreen trees restore`.

use clap::Args;
use evergreen_proto::api::v1::UndeleteTreeRequest;

use crate::{common::Context, errors::Error, names, output::json};

/// Bring back a deleted tree of yours, which is then in no folder
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// Id, beginning of an id, or title
    tree: String,
}

impl Restore {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let tree_id = names::deleted_tree(&api, &self.tree).await?;
        let request = UndeleteTreeRequest { tree_id, etag: String::new() };
        let tree = api.clone().undelete_tree(request).await?.into_inner().tree.unwrap_or_default();
        context.out.done(&json::tree(&tree), &format!("Restored “{}”.", tree.title))
    }
}
