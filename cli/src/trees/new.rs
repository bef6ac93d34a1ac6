//! `evergreen trees new`.

use std::path::PathBuf;

use clap::Args;
use evergreen_proto::api::v1::{CreateTreeRequest, Tree, TreeStatus, TreeVisibility};

use super::{
    content::{Status, Visibility},
    edit::to_tree,
    editor,
};
use crate::{common::Context, errors::Error, names, outline, output::json};

/// Make a tree, private and a draft unless you say otherwise
#[derive(Args, Debug)]
pub(super) struct New {
    #[arg(required_unless_present = "from")]
    title: Option<String>,

    /// Take all of it from an outline, - for standard input; see `edit`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["title", "description", "folder", "category", "tags", "status", "visibility"])]
    from: Option<PathBuf>,

    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    description: String,

    /// The folder to file it in
    #[arg(long)]
    folder: Option<String>,

    /// The category to put it in
    #[arg(long)]
    category: Option<String>,

    /// A tag; as often as there are tags
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    #[arg(long, value_enum, default_value = "draft")]
    status: Status,

    #[arg(long, value_enum, default_value = "private")]
    visibility: Visibility,
}

impl New {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        if let Some(path) = &self.from {
            let outline = outline::parse(&editor::read(path)?.text)
                .map_err(|e| Error::invalid(format!("{}: {e}", path.display())))?;
            return create(context, to_tree(&api, outline).await?).await;
        }
        let folder_id = match &self.folder {
            Some(folder) => names::place(&api, folder).await?,
            None => String::new(),
        };
        let category_id = match &self.category {
            Some(category) => names::category(&api, category).await?.category_id,
            None => String::new(),
        };
        let tree = Tree {
            title: self.title.unwrap_or_default(),
            description: self.description,
            category_id,
            folder_id,
            status: TreeStatus::from(self.status).into(),
            visibility: TreeVisibility::from(self.visibility).into(),
            tags: self.tags,
            ..Tree::default()
        };
        create(context, tree).await
    }
}

/// Creates `tree` and says so.
pub(super) async fn create(context: &Context, tree: Tree) -> Result<(), Error> {
    let request = CreateTreeRequest { tree: Some(tree) };
    let made = context.api()?.create_tree(request).await?.into_inner().tree.unwrap_or_default();
    let sentence = format!("Created “{}”: {}", made.title, made.tree_id);
    context.out.done(&json::tree(&made), &sentence)
}
