//! `evergreen trees search`.

use clap::Args;
use evergreen_proto::api::v1::{SearchResult, SearchTreesRequest};
use serde_json::{Value, json};

use crate::{
    common::Context,
    errors::Error,
    names::ShortIds,
    output::{clean, json},
    pages, paint,
};

/// Find trees that hold all these words; the last word may be a beginning
#[derive(Args, Debug)]
pub(super) struct Search {
    #[arg(required = true)]
    words: Vec<String>,

    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value = "20")]
    limit: usize,
}

impl Search {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let (api, query) = (context.api()?, self.words.join(" "));
        let page_size = i32::try_from(self.limit.min(100)).unwrap_or(100);
        let results = pages::all(self.limit, async |page_token| {
            let request = SearchTreesRequest { query: query.clone(), page_size, page_token };
            let answer = api.clone().search_trees(request).await?.into_inner();
            Ok((answer.results, answer.next_page_token))
        })
        .await?;
        if context.out.is_json() {
            let results: Value = results.iter().map(value).collect();
            return context.out.value(&json!({ "results": results }));
        }
        if results.is_empty() {
            context.out.note("Nothing found.");
        }
        let trees = results.iter().filter_map(|result| result.tree.as_ref());
        let ids = ShortIds::of(trees.map(|tree| tree.tree_id.as_str()));
        for result in &results {
            let tree = result.tree.clone().unwrap_or_default();
            let title = paint::styled(paint::HEADING, clean::line(&tree.title));
            context.out.line(format_args!("{}  {title}", ids.short(&tree.tree_id)))?;
            let from = paint::styled(paint::FAINT, format_args!("{}:", clean::line(&result.field)));
            context.out.line(format_args!("  {from} {}", marked(&result.snippet)))?;
        }
        Ok(())
    }
}

fn value(result: &SearchResult) -> Value {
    json!({
        "tree": result.tree.as_ref().map(json::listed_tree),
        "snippet": result.snippet,
        "field": result.field,
    })
}

/// The matches of a snippet in another style, instead of the marks around them.
fn marked(snippet: &str) -> String {
    let mut text = String::new();
    for (i, part) in snippet.split('\u{2068}').enumerate() {
        let (found, rest) = match (i, part.split_once('\u{2069}')) {
            (0, _) => ("", part),
            (_, Some((found, rest))) => (found, rest),
            (_, None) => (part, ""),
        };
        if !found.is_empty() {
            text.push_str(&paint::styled(paint::FOUND, clean::line(found)));
        }
        text.push_str(&clean::line(&rest.replace('\u{2069}', "")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_styled_and_marks_never_printed() {
        let said =
            marked("a \u{2068}la\x07mp\u{2069} is \u{2068}green\u{2069}\x1b[2J \u{2068}open");
        assert!(!said.contains(['\u{2068}', '\u{2069}']) && !said.contains("\x1b[2J"));
        let plain = anstream::adapter::strip_str(&said).to_string();
        assert_eq!(plain, "a la\u{fffd}mp is green\u{fffd}[2J open");
        assert_eq!(said.matches(&format!("{}", paint::FOUND)).count(), 3);
    }
}
