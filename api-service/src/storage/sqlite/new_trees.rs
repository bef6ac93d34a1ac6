//! New trees, one or many. A statement for each table and not for each tree: most of what a statement
//! costs here is its way to the thread of the connection and back.

use sqlx::{QueryBuilder, Sqlite, query_builder::Separated};

use super::{changes, folders, search, trees::Tx};
use crate::{
    domain::{change::Audience, search::Document, tree::Tree},
    storage::{
        StoreError,
        rows::{per_folder, status_name, tags_text, visibility_name},
        stored_nodes,
    },
};

/// Creates trees that have these words. What they refer to is there.
pub(super) async fn create(
    tx: &mut Tx,
    trees: &[Tree],
    documents: &[Document],
) -> Result<(), StoreError> {
    if trees.is_empty() {
        return Ok(());
    }
    insert(tx, TREES, trees, |mut values, tree| {
        let content = &tree.content;
        values
            .push_bind(tree.id.0)
            .push_bind(&tree.owner_id)
            .push_bind(&content.title)
            .push_bind(&content.description)
            .push_bind(content.category_id.map(|id| id.0))
            .push_bind(content.folder_id.map(|id| id.0))
            .push_bind(status_name(content.status))
            .push_bind(visibility_name(content.visibility))
            .push_bind(tags_text(&content.tags))
            .push_bind(tree.revision)
            .push_bind(tree.node_count)
            .push_bind(&tree.etag.0)
            .push_bind(tree.created_at.unix_millis())
            .push_bind(tree.updated_at.unix_millis());
    })
    .await?;
    for (folder, count) in per_folder(trees) {
        folders::count_trees(tx, Some(folder), count).await?;
    }
    insert(tx, REVISIONS, trees, |mut values, tree| {
        let content = &tree.content;
        values
            .push_bind(tree.id.0)
            .push_bind(tree.revision)
            .push_bind(&content.title)
            .push_bind(&content.description)
            .push_bind(tags_text(&content.tags))
            .push_bind(stored_nodes::write(&content.nodes))
            .push_bind(tree.node_count)
            .push_bind(tree.updated_at.unix_millis());
    })
    .await?;
    search::index_new(tx, trees, documents).await?;
    let changes: Vec<_> = trees.iter().filter_map(|tree| tree.change(Audience::Nobody)).collect();
    changes::record_all(tx, &changes).await
}

/// Inserts a row for each of `items`.
pub(super) async fn insert<T>(
    tx: &mut Tx,
    into: &'static str,
    items: &[T],
    row: impl Fn(Separated<'_, Sqlite, &'static str>, &T),
) -> Result<(), StoreError> {
    for items in items.chunks(AT_ONCE) {
        let mut query = QueryBuilder::new(into);
        query.push_values(items, &row);
        // Of all the lengths there are one alone is worth keeping a prepared statement for.
        query.build().persistent(items.len() == 1).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Fourteen values of each are far below the number that a statement may have.
const AT_ONCE: usize = 500;
const TREES: &str = "INSERT INTO trees (id, owner_id, title, description, category_id, folder_id, \
     status, visibility, tags, revision, node_count, etag, created_at, updated_at) ";
const REVISIONS: &str = "INSERT INTO tree_revisions (tree_id, revision, title, description, tags, \
     nodes, node_count, created_at) ";
