//! `evergreen trees rollback`.

use clap::Args;
use evergreen_proto::api::v1::RollbackTreeRequest;

use crate::{common::Context, errors::Error, names, output::json};

/// Make a tree of yours read as it did before, as a new revision
#[derive(Args, Debug)]
pub(super) struct Rollback {
    /// Id, beginning of an id, or title
    tree: String,

    /// The revision to go back to; `history` shows them
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    revision: i64,
}

impl Rollback {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let tree = names::tree(&api, &self.tree).await?;
        let request =
            RollbackTreeRequest { tree_id: tree.tree_id, revision: self.revision, etag: tree.etag };
        let tree = api.clone().rollback_tree(request).await?.into_inner().tree.unwrap_or_default();
        let sentence = format!(
            "“{}” reads as in revision {} again, which is now revision {}.",
            tree.title, self.revision, tree.revision
        );
        context.out.done(&json::tree(&tree), &sentence)
    }
}
