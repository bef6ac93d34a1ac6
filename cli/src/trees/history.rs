//! `evergreen trees history`.

use clap::Args;
use evergreen_proto::api::v1::ListTreeRevisionsRequest;
use serde_json::{Value, json};

use crate::{
    common::Context,
    errors::Error,
    names,
    output::{Table, json},
    pages,
};

/// What a tree read before, newest first
#[derive(Args, Debug)]
pub(super) struct History {
    /// Id, beginning of an id, or title
    tree: String,
}

impl History {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let tree = names::tree(&api, &self.tree).await?;
        let revisions = pages::all(usize::MAX, async |page_token| {
            let tree_id = tree.tree_id.clone();
            let request = ListTreeRevisionsRequest { tree_id, page_size: 100, page_token };
            let answer = api.clone().list_tree_revisions(request).await?.into_inner();
            Ok((answer.revisions, answer.next_page_token))
        })
        .await?;
        if context.out.is_json() {
            let revisions: Value = revisions.iter().map(json::listed_revision).collect();
            return context.out.value(&json!({ "revisions": revisions }));
        }
        let mut table = Table::new(&["=REVISION", "=WRITTEN", "TITLE", "TAGS", "=NODES"]);
        for revision in &revisions {
            table.row([
                &revision.revision.to_string(),
                &json::minute(revision.create_time.as_ref()),
                &revision.title,
                &revision.tags.join(", "),
                &revision.node_count.to_string(),
            ]);
        }
        context.out.table(&table, "No revisions.")
    }
}
