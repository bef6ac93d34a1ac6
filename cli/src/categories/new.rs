//! `evergreen categories new`.

use clap::Args;
use evergreen_proto::api::v1::{Category, CreateCategoryRequest};

use crate::{common::Context, errors::Error, output::json};

/// Make a category
#[derive(Args, Debug)]
pub(super) struct New {
    name: String,

    /// Its short name in commands; made from the name, if it is not given
    #[arg(long)]
    slug: Option<String>,

    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    description: String,

    /// Its place on the shelf, the lowest first
    #[arg(long, default_value_t, allow_negative_numbers = true, value_name = "NUMBER")]
    position: i32,
}

impl New {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let category = Category {
            name: self.name,
            slug: self.slug.unwrap_or_default(),
            description: self.description,
            position: self.position,
            ..Category::default()
        };
        let request = CreateCategoryRequest { category: Some(category) };
        let made = context.api()?.create_category(request).await?.into_inner().category;
        let made = made.unwrap_or_default();
        context.out.done(&json::category(&made), &format!("Created “{}”: {}", made.name, made.slug))
    }
}
