//! `evergreen categories list`.

use clap::Args;
use serde_json::{Value, json};

use crate::{
    common::Context,
    errors::Error,
    names::{self, ShortIds},
    output::{Table, json},
};

/// All categories, by their place on the shelf
#[derive(Args, Debug)]
pub(super) struct List {}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let categories = names::Categories::read(&context.api()?).await?.all;
        if context.out.is_json() {
            let categories: Value = categories.iter().map(json::category).collect();
            return context.out.value(&json!({ "categories": categories }));
        }
        let ids = ShortIds::of(categories.iter().map(|category| category.category_id.as_str()));
        let mut table = Table::new(&["=ID", "SLUG", "NAME", "-DESCRIPTION"]);
        for category in &categories {
            table.row([
                ids.short(&category.category_id),
                &category.slug,
                &category.name,
                &category.description,
            ]);
        }
        context.out.table(&table, "No categories.")
    }
}
