//! `evergreen trees export`.

use std::{
    collections::HashMap,
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
    errors::{Error, Exit},
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
            source.read(&bar, async |tree| context.out.value_line(&json::tree(tree))).await?;
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
        .read(&bar, async |tree| {
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
    let mut places = Places::read(api).await?;
    let bar = paint::counter("trees");
    source
        .read(&bar, async |tree| {
            let filed = match places.of(tree) {
                Some(filed) => filed,
                None => {
                    places = Places::read(api).await?;
                    places.of(tree).ok_or_else(|| moved(tree))?
                }
            };
            let path = dir.join(file_name(tree));
            let text = outline::write(&outline_of(tree, filed));
            let written = || {
                let mut file = beside(&path)?;
                file.write_all(text.as_bytes())?;
                file.persist(&path).map_err(|e| e.error)
            };
            written().map(drop).map_err(|e| Error::io("write", &path, &e))
        })
        .await
}

/// The names of all categories and folders, as of one moment.
struct Places {
    slugs: HashMap<String, String>,
    paths: HashMap<String, String>,
}

impl Places {
    async fn read(api: &Api) -> Result<Self, Error> {
        let (categories, folders) =
            tokio::try_join!(Categories::read(api), Folders::read(api, ""))?;
        let slugs = categories.slugs().into_iter();
        let paths = folders.paths().into_iter();
        Ok(Self {
            slugs: slugs.map(|(id, slug)| (id.to_owned(), slug.to_owned())).collect(),
            paths: paths.map(|(id, path)| (id.to_owned(), path)).collect(),
        })
    }

    /// Where a tree is filed; none if it is in what was made since, which an outline must not leave
    /// out: who imports it would not hear of it.
    fn of(&self, tree: &Tree) -> Option<Filed> {
        let name = |names: &HashMap<String, String>, id: &str| match id {
            "" => Some(String::new()),
            id => names.get(id).cloned(),
        };
        Some(Filed {
            category: name(&self.slugs, &tree.category_id)?,
            folder: name(&self.paths, &tree.folder_id)?,
        })
    }
}

fn moved(tree: &Tree) -> Error {
    let message = format!("“{}” was moved while it was being exported.", tree.title);
    Error::new(Exit::Conflict, message).then("Run the same command again.")
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
        mut write: impl AsyncFnMut(&Tree) -> Result<(), Error>,
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
            write(&response.tree.unwrap_or_default()).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_not_known_is_not_left_out() {
        let names = |id: &str, name: &str| HashMap::from([(id.to_owned(), name.to_owned())]);
        let places = Places { slugs: names("1", "vpn"), paths: names("2", "/IT") };
        let filed = |category: &str, folder: &str| {
            let (category_id, folder_id) = (category.to_owned(), folder.to_owned());
            let filed = places.of(&Tree { category_id, folder_id, ..Tree::default() })?;
            Some([filed.category, filed.folder])
        };
        assert_eq!(filed("1", "2"), Some(["vpn", "/IT"].map(str::to_owned)));
        assert_eq!(filed("", ""), Some(["", ""].map(str::to_owned)));
        assert_eq!(filed("1", "3"), None);
        assert_eq!(filed("3", "2"), None);
    }
}
