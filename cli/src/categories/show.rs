//! `evergreen categories show`.

use clap::Args;

use crate::{
    common::Context,
    errors::Error,
    names,
    output::{clean, json},
    paint,
};

/// One category
#[derive(Args, Debug)]
pub(super) struct Show {
    category: String,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let category = names::category(&context.api()?, &self.category).await?;
        if context.out.is_json() {
            return context.out.value(&json::category(&category));
        }
        context.out.line(paint::styled(paint::HEADING, clean::line(&category.name)))?;
        let changed = json::minute(category.update_time.as_ref());
        let about = format!("{} · changed {changed} · {}", category.slug, category.category_id);
        context.out.line(paint::styled(paint::FAINT, about))?;
        if !category.description.is_empty() {
            context.out.line(format_args!("\n{}", clean::lines(&category.description)))?;
        }
        Ok(())
    }
}
