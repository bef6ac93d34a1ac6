//! `evergreen categories edit`.

use clap::Args;
use evergreen_proto::api::v1::UpdateCategoryRequest;
use prost_types::FieldMask;

use crate::{common::Context, errors::Error, names, output::json};

/// Change a category: what is not named stays
#[derive(Args, Debug)]
pub(super) struct Edit {
    category: String,

    #[command(flatten)]
    change: Change,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Change {
    #[arg(long)]
    name: Option<String>,

    #[arg(long)]
    slug: Option<String>,

    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Its place on the shelf, the lowest first
    #[arg(long, allow_negative_numbers = true, value_name = "NUMBER")]
    position: Option<i32>,
}

impl Edit {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let mut category = names::category(&api, &self.category).await?;
        let mut paths = Vec::new();
        let mut set = |path: &str| paths.push(path.to_owned());
        let Change { name, slug, description, position } = self.change;
        if let Some(name) = name {
            set("name");
            category.name = name;
        }
        if let Some(slug) = slug {
            set("slug");
            category.slug = slug;
        }
        if let Some(description) = description {
            set("description");
            category.description = description;
        }
        if let Some(position) = position {
            set("position");
            category.position = position;
        }
        let request = UpdateCategoryRequest {
            category: Some(category),
            update_mask: Some(FieldMask { paths }),
        };
        let category = api.clone().update_category(request).await?.into_inner().category;
        let category = category.unwrap_or_default();
        context.out.done(&json::category(&category), &format!("Changed “{}”.", category.name))
    }
}
