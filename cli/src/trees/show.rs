//! `evergreen trees show`.

use clap::Args;
use evergreen_proto::api::v1::{GetTreeRevisionRequest, Tree};

use super::{
    content::{status_word, visibility_word},
    draw::drawn_nodes,
};
use crate::{
    common::{Api, Context},
    errors::Error,
    names::{self, Categories, Folders},
    output::{clean, json},
    paint,
};

/// A tree, drawn: ? asks, ! tells what to do, = ends the walk
#[derive(Args, Debug)]
pub(super) struct Show {
    /// Id, beginning of an id, or title
    tree: String,

    /// As it read in this revision
    #[arg(long, value_name = "NUMBER")]
    revision: Option<i64>,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let mut tree = names::tree(&api, &self.tree).await?;
        if let Some(revision) = self.revision {
            let request = GetTreeRevisionRequest { tree_id: tree.tree_id.clone(), revision };
            let answer = api.clone().get_tree_revision(request).await?.into_inner();
            let then = answer.revision.unwrap_or_default();
            if context.out.is_json() {
                return context.out.value(&json::revision(&then));
            }
            tree.update_time = then.create_time;
            (tree.title, tree.description, tree.tags) = (then.title, then.description, then.tags);
            (tree.nodes, tree.revision) = (then.nodes, then.revision);
        }
        if context.out.is_json() {
            return context.out.value(&json::tree(&tree));
        }
        let filed = filed(&api, &tree).await?;
        context.out.line(paint::styled(paint::HEADING, clean::line(&tree.title)))?;
        context.out.line(paint::styled(paint::FAINT, about(&tree, &filed)))?;
        if !tree.description.is_empty() {
            context.out.line(format_args!("\n{}", clean::lines(&tree.description)))?;
        }
        if !tree.nodes.is_empty() {
            context.out.line(format_args!("\n{}", drawn_nodes(&tree.nodes)))?;
        }
        Ok(())
    }
}

/// Where a tree is filed.
#[derive(Debug, Default)]
pub(super) struct Filed {
    /// The category's slug; empty if there is none.
    pub(super) category: String,
    /// The folder's path; empty if it is unfiled.
    pub(super) folder: String,
}

/// Where `tree` is filed, by names.
pub(super) async fn filed(api: &Api, tree: &Tree) -> Result<Filed, Error> {
    let category = async {
        match tree.category_id.is_empty() {
            true => Ok(Categories::default()),
            false => Categories::read(api).await,
        }
    };
    let folder = async {
        match tree.folder_id.is_empty() {
            true => Ok(Folders::default()),
            false => Folders::read(api, "").await,
        }
    };
    let (categories, folders) = tokio::try_join!(category, folder)?;
    Ok(Filed {
        category: categories.slugs().remove(&*tree.category_id).unwrap_or_default().to_owned(),
        // Another's folder has no path here.
        folder: folders.paths().remove(&*tree.folder_id).unwrap_or_default(),
    })
}

fn about(tree: &Tree, filed: &Filed) -> String {
    let mut about =
        vec![status_word(tree.status()).to_owned(), visibility_word(tree.visibility()).to_owned()];
    if !filed.category.is_empty() {
        about.push(clean::line(&filed.category));
    }
    if !filed.folder.is_empty() {
        about.push(clean::line(&filed.folder));
    }
    about.extend(tree.tags.iter().map(|tag| format!("#{}", clean::line(tag))));
    about.push(format!("revision {}", tree.revision));
    about.push(format!("changed {}", json::minute(tree.update_time.as_ref())));
    if tree.delete_time.is_some() {
        about.push(format!("DELETED {}", json::minute(tree.delete_time.as_ref())));
    }
    about.push(tree.tree_id.clone());
    about.join(" · ")
}
