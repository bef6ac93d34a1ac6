//! `evergreen trees rm`.

use clap::Args;
use evergreen_proto::api::v1::DeleteTreeRequest;
use serde_json::json;

use crate::{common::Context, errors::Error, names, output::json};

/// Delete trees of yours; `restore` brings them back for a while
#[derive(Args, Debug)]
pub(super) struct Rm {
    /// Ids, beginnings of ids, or titles
    #[arg(required = true)]
    trees: Vec<String>,
}

impl Rm {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        // All names are understood before anything is deleted.
        let mut found = Vec::new();
        for given in &self.trees {
            found.push(names::tree(&api, given).await?);
        }
        let (mut deleted, mut told) = (Vec::new(), Ok(()));
        for tree in found {
            let request = DeleteTreeRequest { tree_id: tree.tree_id, etag: tree.etag };
            let answer = api.clone().delete_tree(request).await?.into_inner();
            let gone = answer.tree.unwrap_or_default();
            let until = json::minute(gone.purge_time.as_ref());
            let sentence = format!("Deleted “{}”. It can be restored until {until}.", tree.title);
            // The others are deleted all the same.
            told = told.and(context.out.said(&sentence));
            deleted.push(json::listed_tree(&gone));
        }
        if context.out.is_json() {
            return context.out.value(&json!({ "trees": deleted }));
        }
        told
    }
}
