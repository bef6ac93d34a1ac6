//! `evergreen trees export`.

use std::{
    io::{BufWriter, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use client_sdk::resume::Resumed;
use evergreen_proto::api::v1::{ExportTreesRequest, ExportTreesResponse, Tree};
use indicatif::ProgressBar;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::{
    common::{Api, Context},
    errors::Error,
    names,
    output::{clean, counted, json},
    paint,
};

/// All your trees as JSON Lines, oldest first; `import` reads them
#[derive(Args, Debug)]
pub(super) struct Export {
    /// Only this folder and those below it
    #[arg(long)]
    folder: Option<String>,

    /// Where to, instead of standard output: whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let folder_id = match &self.folder {
            Some(folder) => names::place(&context.api()?, folder).await?,
            None => String::new(),
        };
        let source = Source { api: context.streaming_api()?, folder_id };
        let Some(path) = &self.output else {
            // A bar between the lines of a terminal would only be in the way.
            let bar = match std::io::stdout().is_terminal() {
                true => ProgressBar::hidden(),
                false => paint::counter("trees"),
            };
            source.read(&bar, |tree| context.out.value_line(&json::tree(tree))).await?;
            return Ok(());
        };
        let failed = |e: std::io::Error| Error::io("write", path, &e);
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        let mut file = BufWriter::new(file);
        let bar = paint::counter("trees");
        let count = source
            .read(&bar, |tree| {
                let line = clean::json(&json::tree(tree).to_string());
                writeln!(file, "{line}").map_err(failed)
            })
            .await?;
        let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.persist(path).map_err(|e| failed(e.error))?;
        let sentence = format!("Exported {} to {}.", counted(count, "tree"), path.display());
        context.out.done(&json!({ "exportedCount": count }), &sentence)
    }
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
