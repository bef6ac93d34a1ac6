//! `evergreen trees edit`.

use std::{collections::HashMap, path::PathBuf};

use clap::Args;
use evergreen_proto::{
    api::v1::{Tree, TreeNode, UpdateTreeRequest},
    reason,
};
use prost_types::FieldMask;

use super::{
    content::in_order,
    editor::{self, Edited, Place},
    show::{Filed, filed},
};
use crate::{
    common::{Api, Context},
    errors::Error,
    names,
    outline::{self, Outline},
    output::json,
    paint,
};

/// Change a tree of yours as text, in $VISUAL or $EDITOR, or from a file
///
/// The text is an outline: the first lines say title, status, visibility, category, folder and tags,
/// then comes the description, then the nodes as a nested list: `- ?` asks, `- !` tells what to do,
/// `- =` ends the walk. Nothing that you wrote is lost: what cannot be saved stays in a file. Who
/// shares a tree (`visibility: shared`) shares its earlier revisions with it.
#[derive(Args, Debug)]
pub(super) struct Edit {
    /// Id, beginning of an id, or title
    tree: String,

    /// Take the outline from a file instead, - for standard input; it replaces what is there
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Print the outline, and change nothing
    #[arg(long, conflicts_with_all = ["from", "json"])]
    print: bool,
}

impl Edit {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let api = context.api()?;
        let tree = names::tree(&api, &self.tree).await?;
        let before = outline_of(&tree, filed(&api, &tree).await?);
        let text = outline::write(&before);
        if self.print {
            return context.out.line(text.trim_end_matches('\n'));
        }
        let edited = match &self.from {
            Some(path) => editor::read(path)?,
            None => match editor::edit(&context.profile, &tree.tree_id, &text)? {
                None => return context.out.done(&json::tree(&tree), "Nothing was changed."),
                Some(edited) => edited,
            },
        };
        let saved = save(&api, &tree, &before, &edited.text).await;
        let saved = match saved {
            Ok(saved) => saved,
            Err(error) => return Err(edited.rescue(context, &tree, error)),
        };
        edited.saved();
        match saved {
            None => context.out.done(&json::tree(&tree), "Nothing was changed."),
            Some(saved) => {
                let sentence = format!("Changed “{}”: revision {}.", saved.title, saved.revision);
                context.out.done(&json::tree(&saved), &sentence)
            }
        }
    }
}

/// Writes what `text` changes of `before`; `None` if it changes nothing.
async fn save(api: &Api, tree: &Tree, before: &Outline, text: &str) -> Result<Option<Tree>, Error> {
    let after = outline::parse(text).map_err(|e| Error::invalid(format!("The outline: {e}")))?;
    let mut paths = Vec::new();
    let mut differs = |path: &str, differs: bool| {
        if differs {
            paths.push(path.to_owned());
        }
    };
    differs("title", after.title != before.title);
    differs("description", after.description != before.description);
    differs("status", after.status != before.status);
    differs("visibility", after.visibility != before.visibility);
    differs("category_id", after.category != before.category);
    differs("folder_id", after.folder != before.folder);
    differs("tags", after.tags != before.tags);
    differs("nodes", after.nodes != before.nodes);
    if paths.is_empty() {
        return Ok(None);
    }
    let mut wanted = to_tree(api, after).await?;
    (wanted.tree_id, wanted.etag) = (tree.tree_id.clone(), tree.etag.clone());
    let request = UpdateTreeRequest { tree: Some(wanted), update_mask: Some(FieldMask { paths }) };
    let answer = api.clone().update_tree(request).await?.into_inner();
    Ok(answer.tree)
}

impl Edited {
    /// Keeps the text where it can be found again, and has `error` say where.
    fn rescue(self, context: &Context, tree: &Tree, error: Error) -> Error {
        let changed = error.reason() == Some(reason::ETAG_MISMATCH);
        let path = match self.place {
            Place::Kept(path) | Place::Theirs(path) => path,
            Place::Nowhere => match context.profile.keep(&tree.tree_id, &self.text) {
                Ok(path) => path,
                Err(lost) => {
                    // The last place where it cannot be lost.
                    paint::error(&self.text);
                    return error.finally(&format!("Your text is above, since {lost}."));
                }
            },
        };
        let (id, path) = (&tree.tree_id, path.display());
        let again = format!("`evergreen trees edit {id} --from {path}`");
        if changed {
            return error.then(format!(
                "It was changed while you edited it. Nothing was overwritten, and your text is in \
                 {path}. See what changed with `evergreen trees edit {id} --print`, put that into \
                 your text, then run {again}."
            ));
        }
        error.finally(&format!("Your text is in {path}. To bring it in, run {again}."))
    }
}

/// The outline of a tree that is filed there.
pub(super) fn outline_of(tree: &Tree, filed: Filed) -> Outline {
    let mut positions = HashMap::new();
    let in_order = in_order(&tree.nodes).into_iter().map(|(_, node)| {
        // An outline knows order, and no numbers.
        let next = positions.entry(&node.parent_id).or_insert(0);
        *next += 1;
        TreeNode { position: *next - 1, ..node.clone() }
    });
    Outline {
        title: tree.title.clone(),
        description: tree.description.clone(),
        status: tree.status(),
        visibility: tree.visibility(),
        category: filed.category,
        folder: filed.folder,
        tags: tree.tags.clone(),
        nodes: in_order.collect(),
    }
}

/// The tree that an outline describes, with the category and the folder that it names.
pub(super) async fn to_tree(api: &Api, outline: Outline) -> Result<Tree, Error> {
    let category_id = match outline.category.as_str() {
        "" => String::new(),
        category => names::category(api, category).await?.category_id,
    };
    let folder_id = names::place(api, &outline.folder).await?;
    Ok(Tree {
        title: outline.title,
        description: outline.description,
        category_id,
        folder_id,
        status: outline.status.into(),
        visibility: outline.visibility.into(),
        tags: outline.tags,
        nodes: outline.nodes,
        ..Tree::default()
    })
}
