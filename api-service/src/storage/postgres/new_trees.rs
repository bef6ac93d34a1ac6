//! New trees, one or many: a statement for each table and not for each tree, since each is a journey
//! to the database and back.

use uuid::Uuid;

use super::{changes::record, folders, search, trees::Tx};
use crate::{
    domain::{change::Audience, search::Document, tree::Tree},
    storage::{
        StoreError,
        rows::{per_folder, status_name, tags_text, visibility_name},
        stored_nodes,
    },
};

/// Creates trees that have these words, in a transaction that holds their owner's lock and what they
/// refer to.
pub(super) async fn create(
    tx: &mut Tx,
    trees: &[Tree],
    documents: &[Document],
) -> Result<(), StoreError> {
    let mut rows = Columns::default();
    trees.iter().for_each(|tree| rows.push(tree));
    let Columns { id, owner_id, title, description, tags, nodes, revision, node_count, .. } = &rows;
    sqlx::query(TREES)
        .bind(id)
        .bind(owner_id)
        .bind(title)
        .bind(description)
        .bind(&rows.category_id)
        .bind(&rows.folder_id)
        .bind(&rows.status)
        .bind(&rows.visibility)
        .bind(tags)
        .bind(&rows.etag)
        .bind(&rows.created_at)
        .bind(&rows.updated_at)
        .bind(revision)
        .bind(node_count)
        .execute(&mut **tx)
        .await?;
    folders::count_trees(tx, per_folder(trees).into_iter().map(|(id, count)| (id.0, count)))
        .await?;
    sqlx::query(REVISIONS)
        .bind(id)
        .bind(revision)
        .bind(title)
        .bind(description)
        .bind(tags)
        .bind(nodes)
        .bind(node_count)
        .bind(&rows.updated_at)
        .execute(&mut **tx)
        .await?;
    search::index_new(tx, trees, documents).await?;
    record(tx, trees.iter().filter_map(|tree| tree.change(Audience::Nobody))).await
}

/// Rows to be written by one statement, which is the same however many they are.
#[derive(Default)]
struct Columns<'a> {
    id: Vec<Uuid>,
    owner_id: Vec<&'a str>,
    title: Vec<&'a str>,
    description: Vec<&'a str>,
    category_id: Vec<Option<Uuid>>,
    folder_id: Vec<Option<Uuid>>,
    status: Vec<&'static str>,
    visibility: Vec<&'static str>,
    tags: Vec<String>,
    etag: Vec<&'a str>,
    created_at: Vec<i64>,
    updated_at: Vec<i64>,
    revision: Vec<i64>,
    node_count: Vec<i32>,
    nodes: Vec<String>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, tree: &'a Tree) {
        let content = &tree.content;
        self.id.push(tree.id.0);
        self.owner_id.push(&tree.owner_id);
        self.title.push(&content.title);
        self.description.push(&content.description);
        self.category_id.push(content.category_id.map(|id| id.0));
        self.folder_id.push(content.folder_id.map(|id| id.0));
        self.status.push(status_name(content.status));
        self.visibility.push(visibility_name(content.visibility));
        self.tags.push(tags_text(&content.tags));
        self.etag.push(&tree.etag.0);
        self.created_at.push(tree.created_at.unix_millis());
        self.updated_at.push(tree.updated_at.unix_millis());
        self.revision.push(tree.revision);
        self.node_count.push(tree.node_count);
        self.nodes.push(stored_nodes::write(&content.nodes));
    }
}

const TREES: &str = "INSERT INTO trees (id, owner_id, title, description, category_id, folder_id, \
     status, visibility, tags, etag, created_at, updated_at, revision, node_count) \
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], \
         $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], \
         $13::bigint[], $14::integer[])";
const REVISIONS: &str = "INSERT INTO tree_revisions (tree_id, revision, title, description, tags, \
     nodes, node_count, created_at) \
     SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], \
         $7::integer[], $8::bigint[])";
