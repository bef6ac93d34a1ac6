//! `evergreen scale`: what calls cost with many trees, against what they cost with few.

mod bare;
mod fill;
mod kept;
mod measure;
mod shelf;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tempfile::TempDir;
use transport::database_url::DatabaseUrl;

use self::{
    bare::bare_rate,
    fill::Size,
    kept::kept_rate,
    measure::{Cost, OPERATIONS, compare, exported},
    shelf::{Issuer, Shelf},
};
use crate::{lab::Failure, paint};

/// Measure lists, reads, subtrees, searches, imports and exports of ApiService with many trees
/// against the same with few.
///
/// Imports are also told as a part of what the same driver inserts without a service: into the very
/// tables that ApiService keeps, and into two bare ones.
///
/// Both databases are filled over ImportTrees first, which takes minutes for a million trees. Half of
/// the trees of each belong to one user, who exports them. Services and callers share this process,
/// so the memory shown is more than the service's own.
#[derive(Args, Clone, Debug)]
pub(crate) struct Scale {
    /// Trees of the large database
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    trees: u32,
    /// Folders of the large database
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    folders: u32,
    /// Users of the large database
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    users: u32,
    /// The small database has so many times less of each
    #[arg(long, default_value_t = 100, value_name = "N")]
    factor: u32,
    /// Calls of each kind
    #[arg(long, default_value_t = 400, value_name = "N")]
    calls: u32,
    /// Keep the large database on this PostgreSQL database, which should be empty
    #[arg(long, value_name = "URL", requires = "small_database_url")]
    database_url: Option<DatabaseUrl>,
    /// Keep the small one on this, empty too
    #[arg(long, value_name = "URL", requires = "database_url")]
    small_database_url: Option<DatabaseUrl>,
    /// Where the files of embedded databases go [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

impl Scale {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let temporary = TempDir::new()?;
        let dir = self.data_dir.as_deref().unwrap_or(temporary.path());
        let issuer = Issuer::start().await?;
        let large = Size { trees: self.trees, folders: self.folders, users: self.users };
        let small = large.divided_by(self.factor.max(1));

        let bare = bare_rate(&dir.join("bare"), self.small_database_url.as_ref(), small).await?;
        let url = self.small_database_url.clone();
        let kept = kept_rate(&issuer, dir.join("kept"), url, small).await?;
        let few = Shelf::open(&issuer, dir.join("few"), self.small_database_url).await?;
        let few_rate = few.fill(small, self.json).await?;
        let many = Shelf::open(&issuer, dir.join("many"), self.database_url).await?;
        let many_rate = many.fill(large, self.json).await?;

        let mut costs = Vec::new();
        for operation in OPERATIONS {
            costs.push(compare(operation, (&few, small), (&many, large), self.calls).await?);
        }
        let export = exported(&many).await?;
        few.stop().await?;
        many.stop().await?;

        if self.json {
            paint::line(json!({
                "trees": large.trees, "of_few": small.trees,
                "calls": costs.iter().map(Cost::to_json).collect::<Vec<_>>(),
                "import": {
                    "per_second": many_rate, "of_few_per_second": few_rate,
                    "bare_inserts_per_second": bare, "ratio": few_rate / bare,
                    "kept_inserts_per_second": kept, "ratio_of_kept": few_rate / kept,
                },
                "export": {
                    "trees": export.trees, "per_second": export.per_second,
                    "grown_bytes": export.grown,
                },
            }))?;
            return Ok(());
        }
        Cost::print_head(small.trees, large.trees)?;
        costs.iter().try_for_each(Cost::print)?;
        paint::line(format_args!(
            "\nImport: {few_rate:.0} trees a second; {many_rate:.0} over all {}\n\
             - {:.2} of inserts in bulk into the same tables, indexes and log ({kept:.0})\n\
             - {:.2} of inserts into two tables without an index ({bare:.0})",
            large.trees,
            few_rate / kept,
            few_rate / bare,
        ))?;
        let grown = export.grown.map_or_else(String::new, |bytes| {
            #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
            let mebibytes = bytes as f64 / f64::from(1 << 20);
            format!("; the process grew by {mebibytes:.1} MiB")
        });
        paint::line(format_args!(
            "Export: {} trees in one stream, {:.0} a second{grown}",
            export.trees, export.per_second
        ))?;
        Ok(())
    }
}

/// How many trees ApiService takes into a transaction while it imports them, and so how many the
/// inserts hold that an import is measured against.
const BATCH: usize = 500;
