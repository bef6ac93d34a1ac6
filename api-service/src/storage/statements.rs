//! Statements that differ between databases by nothing but the driver's type.

use sqlx::{Database, Encode, QueryBuilder, Type};
use token::clock::Timestamp;
use uuid::Uuid;

use super::{
    CategoryKey, DeletedKey, FolderKey, TreeFilter, TreeKey,
    rows::{status_name, tree_columns},
};
use crate::domain::id::{FolderId, TreeId};

/// The reader's own trees and the shared ones of others, each read in order from an index and no
/// further than the page needs, then merged. The reader's own are left out of the shared ones only
/// then: a reader who shared much of late would be passed over tree by tree.
pub(super) fn trees<DB>(
    prefix: &'static str,
    filter: &TreeFilter,
    after: Option<&TreeKey>,
    limit: i64,
) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> &'static str: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new(prefix);
    query.push("SELECT * FROM (SELECT ").push(tree_columns!());
    query.push(" FROM trees WHERE owner_id = ").push_bind(filter.reader.clone());
    if let Some(folder) = filter.folder_id {
        query.push(" AND folder_id = ").push_bind(folder.0);
    }
    narrow(&mut query, filter, after, limit);
    query.push(") AS own");
    // A folder holds only trees of its owner's.
    if filter.folder_id.is_none() && !filter.mine {
        query.push(" UNION ALL SELECT * FROM (SELECT ").push(tree_columns!());
        query.push(" FROM trees WHERE visibility = 'shared'");
        narrow(&mut query, filter, after, limit);
        query.push(") AS shared WHERE owner_id <> ").push_bind(filter.reader.clone());
    }
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(limit);
    query
}

fn narrow<DB>(
    query: &mut QueryBuilder<DB>,
    filter: &TreeFilter,
    after: Option<&TreeKey>,
    limit: i64,
) where
    DB: Database,
    for<'q> &'static str: Encode<'q, DB> + Type<DB>,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    query.push(" AND deleted_at IS NULL");
    if let Some(category) = filter.category_id {
        query.push(" AND category_id = ").push_bind(category.0);
    }
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status_name(status));
    }
    if let Some(after) = after {
        query.push(" AND (created_at, id) < (").push_bind(after.created_at.unix_millis());
        query.push(", ").push_bind(after.id.0).push(")");
    }
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(limit);
}

/// A tree's revisions without their nodes, newest first.
pub(super) fn revisions<DB>(
    prefix: &'static str,
    id: TreeId,
    before: Option<i64>,
    limit: i64,
) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new(prefix);
    query.push(
        "SELECT revision, title, description, tags, NULL AS nodes, node_count, created_at \
         FROM tree_revisions WHERE tree_id = ",
    );
    query.push_bind(id.0);
    if let Some(before) = before {
        query.push(" AND revision < ").push_bind(before);
    }
    query.push(" ORDER BY revision DESC LIMIT ").push_bind(limit);
    query
}

/// An owner's deleted trees, the last one first.
pub(super) fn deleted_trees<DB>(
    prefix: &'static str,
    owner: &str,
    now: Timestamp,
    after: Option<&DeletedKey>,
    limit: i64,
) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new(prefix);
    query.push("SELECT ").push(tree_columns!()).push(" FROM trees WHERE owner_id = ");
    query.push_bind(owner.to_owned());
    query.push(" AND deleted_at IS NOT NULL AND purge_at > ").push_bind(now.unix_millis());
    if let Some(after) = after {
        query.push(" AND (deleted_at, id) < (").push_bind(after.deleted_at.unix_millis());
        query.push(", ").push_bind(after.id.0).push(")");
    }
    query.push(" ORDER BY deleted_at DESC, id DESC LIMIT ").push_bind(limit);
    query
}

/// An owner's folders in one place.
pub(super) fn folders<DB>(
    prefix: &'static str,
    owner: &str,
    parent: Option<FolderId>,
    after: Option<&FolderKey>,
    limit: i64,
) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
    for<'q> i32: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new(prefix);
    query.push("SELECT ").push(FOLDER_COLUMNS).push(" FROM folders WHERE parent_id");
    match parent {
        Some(parent) => query.push(" = ").push_bind(parent.0),
        None => query.push(" IS NULL"),
    };
    query.push(" AND owner_id = ").push_bind(owner.to_owned());
    if let Some(after) = after {
        query.push(" AND (position, name) > (").push_bind(after.position);
        query.push(", ").push_bind(after.name.clone()).push(")");
    }
    query.push(" ORDER BY position, name LIMIT ").push_bind(limit);
    query
}

/// The shelf of categories.
pub(super) fn categories<DB>(
    prefix: &'static str,
    after: Option<&CategoryKey>,
    limit: i64,
) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> Uuid: Encode<'q, DB> + Type<DB>,
    for<'q> i32: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new(prefix);
    query.push("SELECT ").push(CATEGORY_COLUMNS).push(" FROM categories");
    if let Some(after) = after {
        query.push(" WHERE (position, name, id) > (").push_bind(after.position);
        query.push(", ").push_bind(after.name.clone());
        query.push(", ").push_bind(after.id.0).push(")");
    }
    query.push(" ORDER BY position, name, id LIMIT ").push_bind(limit);
    query
}

/// What is a reader's or nobody's and what others share, each read in order from an index and no
/// further than asked, then merged; or everything. The reader's own are left out of what is shared only
/// then, so that many of them are not read in vain.
pub(super) fn changes<DB>(
    prefix: &'static str,
    reader: Option<&str>,
    after: i64,
    limit: i64,
) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new(prefix);
    let Some(reader) = reader else {
        query.push("SELECT ").push(CHANGE_COLUMNS).push(" FROM changes WHERE seq > ");
        query.push_bind(after).push(" ORDER BY seq LIMIT ").push_bind(limit);
        return query;
    };
    for (i, whose) in
        ["owner_id = ", "owner_id IS NULL", "shared_kind IS NOT NULL"].into_iter().enumerate()
    {
        query.push(if i == 0 {
            "SELECT * FROM (SELECT "
        } else {
            " UNION ALL SELECT * FROM (SELECT "
        });
        query.push(CHANGE_COLUMNS).push(" FROM changes WHERE ").push(whose);
        if i == 0 {
            query.push_bind(reader.to_owned());
        }
        query.push(" AND seq > ").push_bind(after);
        query.push(" ORDER BY seq LIMIT ").push_bind(limit);
        query.push(format_args!(") AS arm_{i}"));
    }
    query.push(" WHERE owner_id <> ").push_bind(reader.to_owned());
    query.push(" ORDER BY seq LIMIT ").push_bind(limit);
    query
}

const CATEGORY_COLUMNS: &str =
    "id, name, slug, description, position, etag, created_at, updated_at";
const CHANGE_COLUMNS: &str =
    "seq, at, resource, resource_id, owner_id, own_kind, shared_kind, mark";
const FOLDER_COLUMNS: &str =
    "id, owner_id, parent_id, name, position, etag, created_at, updated_at";
