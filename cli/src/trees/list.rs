//! `evergreen trees list`.

use clap::Args;
use evergreen_proto::api::v1::{ListDeletedTreesRequest, ListTreesRequest, Tree, TreeStatus};
use serde_json::{Value, json};

use super::content::{Status, status_word, visibility_word};
use crate::{
    common::{Api, Context},
    errors::Error,
    names::{self, Categories, Folders, ShortIds},
    output::{Table, json},
    pages::{self, PAGE},
};

/// The trees that you may read, newest first
#[derive(Args, Debug)]
pub(super) struct List {
    /// Only trees in this folder
    #[arg(long, conflicts_with = "deleted")]
    folder: Option<String>,

    /// Only trees in this category
    #[arg(long, conflicts_with = "deleted")]
    category: Option<String>,

    /// Only trees of this status
    #[arg(long, value_enum, conflicts_with = "deleted")]
    status: Option<Status>,

    /// Only your own
    #[arg(long, conflicts_with = "deleted")]
    mine: bool,

    /// Your deleted trees instead, the last deleted first
    #[arg(long)]
    deleted: bool,

    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    limit: usize,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let trees = if self.deleted { self.deleted(&api).await? } else { self.live(&api).await? };
        if context.out.is_json() {
            let trees: Value = trees.iter().map(json::listed_tree).collect();
            return context.out.value(&json!({ "trees": trees }));
        }
        if self.deleted {
            context.out.table(&deleted_table(&trees), "No deleted trees.")?;
        } else {
            let (categories, folders) = match trees.is_empty() {
                true => (Categories { all: vec![] }, Folders { entries: vec![] }),
                false => tokio::try_join!(Categories::read(&api), Folders::read(&api, ""))?,
            };
            context.out.table(&table(&trees, &categories, &folders), "No trees.")?;
        }
        context.out.cut(trees.len(), self.limit);
        Ok(())
    }

    async fn live(&self, api: &Api) -> Result<Vec<Tree>, Error> {
        let folder_id = match &self.folder {
            Some(folder) => names::folder(api, folder).await?.folder_id,
            None => String::new(),
        };
        let category_id = match &self.category {
            Some(category) => names::category(api, category).await?.category_id,
            None => String::new(),
        };
        let filter = ListTreesRequest {
            page_size: PAGE,
            folder_id,
            category_id,
            status: self.status.map(TreeStatus::from).unwrap_or_default().into(),
            mine: self.mine,
            ..ListTreesRequest::default()
        };
        pages::all(self.limit, async |page_token| {
            let request = ListTreesRequest { page_token, ..filter.clone() };
            let answer = api.clone().list_trees(request).await?.into_inner();
            Ok((answer.trees, answer.next_page_token))
        })
        .await
    }

    async fn deleted(&self, api: &Api) -> Result<Vec<Tree>, Error> {
        pages::all(self.limit, async |page_token| {
            let request = ListDeletedTreesRequest { page_size: PAGE, page_token };
            let answer = api.clone().list_deleted_trees(request).await?.into_inner();
            Ok((answer.trees, answer.next_page_token))
        })
        .await
    }
}

fn table(trees: &[Tree], categories: &Categories, folders: &Folders) -> Table {
    let ids = ShortIds::of(trees.iter().map(|tree| tree.tree_id.as_str()));
    let (slugs, paths) = (categories.slugs(), folders.paths());
    let mut table = Table::new(&[
        "=ID",
        "TITLE",
        "=STATUS",
        "=FOR",
        "-CATEGORY",
        "-FOLDER",
        "=NODES",
        "=CHANGED",
    ]);
    for tree in trees {
        table.row([
            ids.short(&tree.tree_id),
            &tree.title,
            status_word(tree.status()),
            visibility_word(tree.visibility()),
            slugs.get(tree.category_id.as_str()).copied().unwrap_or_default(),
            paths.get(tree.folder_id.as_str()).map_or("", String::as_str),
            &tree.node_count.to_string(),
            &json::minute(tree.update_time.as_ref()),
        ]);
    }
    table
}

fn deleted_table(trees: &[Tree]) -> Table {
    let ids = ShortIds::of(trees.iter().map(|tree| tree.tree_id.as_str()));
    let mut table = Table::new(&["=ID", "TITLE", "=NODES", "=DELETED", "=GONE FOR GOOD"]);
    for tree in trees {
        table.row([
            ids.short(&tree.tree_id),
            &tree.title,
            &tree.node_count.to_string(),
            &json::minute(tree.delete_time.as_ref()),
            &json::minute(tree.purge_time.as_ref()),
        ]);
    }
    table
}
