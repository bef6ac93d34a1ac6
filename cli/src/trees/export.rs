//! `evergreen trees export`.

use std::{
    fs,
    io::{self, BufWriter, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use client_sdk::resume::Resumed;
use evergreen_proto::api::v1::{ExportTreesRequest, ExportTreesResponse, Tree};
use indicatif::ProgressBar;
use serde_json::json;
use tempfile::NamedTempFile;

use super::{edit::outline_of, show::Filed};
use crate::{
    common::{Api, Context},
    errors::Error,
    names::{self, Categories, Folders},
    outline,
    output::{clean, counted, json},
    paint,
};

/// All your trees, oldest first, as JSON Lines or as outlines; `import` reads them
#[derive(Args, Debug)]
pub(super) struct Export {
    /// Only this folder and those below it
    #[arg(long)]
    folder: Option<String>,

    /// What to write
    #[arg(long, value_enum, default_value_t = Format::Jsonl, requires_if("outline", "output"))]
    format: Format,

    /// Where to, instead of standard output: whole or not at all. For outlines a directory, which is
    /// made if it is not there, and in which each file is whole
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON Lines: a tree on each line
    Jsonl,
    /// Outlines: a file for each tree, as `edit` shows it
    Outline,
}

impl Export {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let folder_id = match &self.folder {
            Some(folder) => names::place(&api, folder).await?,
            None => String::new(),
        };
        let source = Source { api: context.streaming_api()?, folder_id };
        let Some(path) = &self.output else {
            // A bar between the lines of a terminal would only be in the way.
            let bar = match io::stdout().is_terminal() {
                true => ProgressBar::hidden(),
                false => paint::counter("trees"),
            };
            source.read(&bar, |tree| context.out.value_line(&json::tree(tree))).await?;
            return Ok(());
        };
        let count = match self.format {
            Format::Jsonl => to_lines(source, path).await?,
            Format::Outline => to_outlines(source, &api, path).await?,
        };
        let sentence = format!("Exported {} to {}.", counted(count, "tree"), path.display());
        context.out.done(&json!({ "exportedCount": count }), &sentence)
    }
}

async fn to_lines(source: Source, path: &Path) -> Result<u32, Error> {
    let failed = |e: io::Error| Error::io("write", path, &e);
    let mut file = BufWriter::new(beside(path).map_err(failed)?);
    let bar = paint::counter("trees");
    let count = source
        .read(&bar, |tree| {
            let line = clean::json(&json::tree(tree).to_string());
            writeln!(file, "{line}").map_err(failed)
        })
        .await?;
    let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(count)
}

async fn to_outlines(source: Source, api: &Api, dir: &Path) -> Result<u32, Error> {
    fs::create_dir_all(dir).map_err(|e| Error::io("make", dir, &e))?;
    let (categories, folders) = tokio::try_join!(Categories::read(api), Folders::read(api, ""))?;
    let (slugs, paths) = (categories.slugs(), folders.paths());
    let bar = paint::counter("trees");
    source
        .read(&bar, |tree| {
            let path = dir.join(file_name(tree));
            let text = outline::write(&outline_of(tree, Filed::of(tree, &slugs, &paths)));
            let written = || {
                let mut file = beside(&path)?;
                file.write_all(text.as_bytes())?;
                file.persist(&path).map_err(|e| e.error)
            };
            written().map(drop).map_err(|e| Error::io("write", &path, &e))
        })
        .await
}

/// A file that takes the place of `path` when it is whole.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
}

/// The same for a tree while its title stays, another one for each tree, and to be read by people:
/// `printer-prints-blank-pages-0192f0c1-7f3a-7c4e-9d21-6a1c1f0b5e11.md`.
fn file_name(tree: &Tree) -> String {
    let mut name = String::new();
    let words = tree.title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    for word in words {
        if name.len() + word.len() > LONGEST {
            break;
        }
        name.push_str(&word.to_lowercase());
        name.push('-');
    }
    format!("{name}{}.md", tree.tree_id)
}

struct Source {
    api: Api,
    folder_id: String,
}

impl Source {
    /// Has every tree written, across breaks of the connection, and counts them.
    async fn read(
        self,
        bar: &ProgressBar,
        mut write: impl FnMut(&Tree) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let Self { api, folder_id } = self;
        let open = move |after_tree_id| {
            let mut api = api.clone();
            let request = ExportTreesRequest { folder_id: folder_id.clone(), after_tree_id };
            async move { Ok(api.export_trees(request).await?.into_inner()) }
        };
        let place = |response: &ExportTreesResponse| {
            response.tree.as_ref().map(|tree| tree.tree_id.clone()).unwrap_or_default()
        };
        let mut trees = Resumed::new("", open, place).patience(PATIENCE);
        let mut count = 0;
        while let Some(response) = trees.message().await? {
            write(&response.tree.unwrap_or_default())?;
            count += 1;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(count)
    }
}

/// How long a break may last.
const PATIENCE: Duration = Duration::from_secs(15);
/// How much of a title a file's name holds, in bytes; a name has room for 255.
const LONGEST: usize = 80;
