//! Statements that differ between databases by nothing but the driver's type.

use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use super::{
    TreeFilter, TreeKey,
    rows::{status_name, tree_columns},
};
use crate::domain::id::TreeId;

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
