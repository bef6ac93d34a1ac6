//! `evergreen categories rm`.

use clap::Args;
use evergreen_proto::api::v1::DeleteCategoryRequest;
use serde_json::json;

use crate::{common::Context, errors::Error, names, output::counted};

/// Delete a category
#[derive(Args, Debug)]
pub(super) struct Rm {
    category: String,

    /// Where its trees go, everybody's; without it no tree may be in it
    #[arg(long, value_name = "CATEGORY")]
    move_trees_to: Option<String>,
}

impl Rm {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let category = names::category(&api, &self.category).await?;
        let move_trees_to = match &self.move_trees_to {
            Some(other) => names::category(&api, other).await?.category_id,
            None => String::new(),
        };
        let request = DeleteCategoryRequest {
            category_id: category.category_id.clone(),
            etag: category.etag,
            move_trees_to,
        };
        let moved = api.clone().delete_category(request).await?.into_inner().moved_tree_count;
        let sentence = match &self.move_trees_to {
            Some(other) => {
                let moved = counted(moved, "tree");
                format!("Deleted “{}”; {moved} moved to {other}.", category.name)
            }
            None => format!("Deleted “{}”.", category.name),
        };
        let value = json!({ "categoryId": category.category_id, "movedTreeCount": moved });
        context.out.done(&value, &sentence)
    }
}
