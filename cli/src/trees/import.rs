//! `evergreen trees import`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use evergreen_proto::api::v1::{ImportTreesRequest, ImportTreesResponse, Tree};
use serde_json::json;
use token::{
    clock::{Clock as _, SystemClock},
    entropy::{Entropy, SystemEntropy},
};
use tonic::{Request, metadata::AsciiMetadataValue};

use super::{edit::to_tree, editor, jsonl};
use crate::{
    common::{Api, Context},
    errors::{Error, Exit},
    names, outline,
    output::counted,
    paint,
    profile::{Import as Kept, Key},
};

/// Create trees from a file; after a break, the same command goes on where it stopped
///
/// A file of JSON Lines holds a tree on each line, as `export` writes them; an outline holds one, as
/// `edit` shows it.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// The file; - for standard input
    file: PathBuf,

    /// What it holds; told by its name, if it is not given
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// File all trees in this folder, / in none, whatever the file says
    #[arg(long)]
    folder: Option<String>,

    /// Put all trees in this category, whatever the file says
    #[arg(long)]
    category: Option<String>,

    /// Create the trees once more, though this file was imported already; after a break, leave it
    /// out to go on
    #[arg(long)]
    again: bool,
}

/// What overrules the file, by id: the same folder may be named in several ways.
#[derive(Debug)]
struct Place {
    folder_id: Option<String>,
    category_id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// JSON Lines: .jsonl, .ndjson, .json
    Jsonl,
    /// An outline: .md, .txt
    Outline,
}

impl Import {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        // Asked first, since a long stream can be sent only once: here a token is renewed.
        let who = context.session.verify().await?;
        let text = editor::read(&self.file)?.text;
        let api = context.api()?;
        let place = self.place(&api).await?;
        let trees = self.trees(&api, &place, &text).await?;
        let (lines, trees): (Vec<_>, Vec<_>) = trees.into_iter().unzip();
        let file = std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone());
        let kept = Kept::find(&context.profile, &source(&who.user_id, &file, &place));
        let now = SystemClock::new().now();
        let mut key = match self.again {
            true => Key::new(Kept::digest(&[&text, &format!("{:?}", fresh())]), now),
            false => kept.key(&text, now)?,
        };
        // Before the first tree, so that no break can lose it.
        kept.begin(&key)?;
        let answer = send(context, trees, &key.text).await;
        let answer = answer.map_err(|error| self.advise(error, &lines))?;
        let (created, skipped) = (answer.created_count, answer.skipped_count);
        if created > 0 {
            key.since = now;
        }
        kept.end(&key, &text)?;
        let mut sentence = format!("Created {}.", counted(created, "tree"));
        if skipped > 0 {
            sentence = format!(
                "{sentence} {} had been created by an earlier try.",
                counted(skipped, "tree")
            );
        }
        if created == 0 && skipped > 0 {
            sentence.push_str(" To create them once more: `--again`.");
        }
        context.out.done(&json!({ "createdCount": created, "skippedCount": skipped }), &sentence)
    }

    /// Where all trees go, whatever the file says.
    async fn place(&self, api: &Api) -> Result<Place, Error> {
        let folder_id = match &self.folder {
            Some(folder) => Some(names::place(api, folder).await?),
            None => None,
        };
        let category_id = match &self.category {
            Some(category) => Some(names::category(api, category).await?.category_id),
            None => None,
        };
        Ok(Place { folder_id, category_id })
    }

    /// The trees of the file, each with its line.
    async fn trees(
        &self,
        api: &Api,
        place: &Place,
        text: &str,
    ) -> Result<Vec<(usize, Tree)>, Error> {
        let wrong = |line: usize, mend: String| {
            Error::invalid(format!("{}, line {line}: {mend}", self.file.display()))
                .then("Nothing was imported.")
        };
        let mut trees = Vec::new();
        match self.format.unwrap_or_else(|| Format::of(&self.file)) {
            Format::Jsonl => {
                for (at, line) in
                    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
                {
                    let tree = jsonl::parse(line).map_err(|mend| wrong(at + 1, mend))?;
                    trees.push((at + 1, tree));
                }
            }
            Format::Outline => {
                let mut outline = outline::parse(text).map_err(|e| wrong(e.line, e.mend))?;
                // What is overruled anyway need not exist.
                if self.folder.is_some() {
                    outline.folder.clear();
                }
                if self.category.is_some() {
                    outline.category.clear();
                }
                trees.push((1, to_tree(api, outline).await?));
            }
        }
        for (_, tree) in &mut trees {
            if let Some(folder_id) = &place.folder_id {
                tree.folder_id.clone_from(folder_id);
            }
            if let Some(category_id) = &place.category_id {
                tree.category_id.clone_from(category_id);
            }
        }
        Ok(trees)
    }

    fn advise(&self, error: Error, lines: &[usize]) -> Error {
        // The server counts from 0, people count lines.
        let line = error.fields().find_map(|field| {
            let number = field.strip_prefix("trees[")?.split_once(']')?.0.parse::<usize>().ok()?;
            lines.get(number).copied()
        });
        let file = self.file.display();
        // Once more would be a third time: this one is begun, and goes on by itself.
        let same = match self.again {
            true => "the same command without `--again`",
            false => "the same command again",
        };
        match (line, error.exit()) {
            (Some(line), _) => error.then(format!(
                "It is in line {line} of {file}. Mend it, then run {same}: it goes on."
            )),
            (None, Exit::Unreachable) => error.then(format!("Run {same}: it goes on.")),
            (None, Exit::NotFound) => error.then(
                "A file from elsewhere names folders and categories that are not here: \
                 `--folder / --category CATEGORY` overrule it.",
            ),
            _ => error,
        }
    }
}

impl Format {
    fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("md" | "txt" | "outline") => Self::Outline,
            _ => Self::Jsonl,
        }
    }
}

/// What makes two imports the same one: who, what and where to. A key is made of this text and is found
/// again by it, so it stays what it is from one release to the next.
fn source(user_id: &str, file: &Path, place: &Place) -> String {
    let file = file.display().to_string();
    json!([user_id, file, place.folder_id, place.category_id]).to_string()
}

async fn send(
    context: &Context,
    trees: Vec<Tree>,
    key: &str,
) -> Result<ImportTreesResponse, Error> {
    let bar = paint::progress(trees.len() as u64, "trees");
    let counting = bar.clone();
    let messages = trees.into_iter().map(move |tree| {
        counting.inc(1);
        ImportTreesRequest { tree: Some(tree) }
    });
    let mut request = Request::new(tokio_stream::iter(messages));
    let key = AsciiMetadataValue::try_from(key);
    let key =
        key.map_err(|_| Error::new(Exit::Failure, "the kept key of this import is damaged"))?;
    request.metadata_mut().insert("idempotency-key", key);
    let answer = context.streaming_api()?.import_trees(request).await;
    bar.finish_and_clear();
    Ok(answer?.into_inner())
}

fn fresh() -> [u8; 16] {
    let entropy: &dyn Entropy = &SystemEntropy;
    entropy.array()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_import_is_known_by_stays_the_same() {
        let source = |folder: Option<&str>, category: Option<&str>| {
            let place = Place {
                folder_id: folder.map(str::to_owned),
                category_id: category.map(str::to_owned),
            };
            source("0192", Path::new("/home/ada/my \"trees\".jsonl"), &place)
        };
        let known = r#"["0192","/home/ada/my \"trees\".jsonl",null,null]"#;
        assert_eq!(source(None, None), known);
        // Into no folder is not wherever the file says.
        let known = r#"["0192","/home/ada/my \"trees\".jsonl","","0193"]"#;
        assert_eq!(source(Some(""), Some("0193")), known);
    }
}
