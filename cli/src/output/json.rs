//! Messages as JSON, by the names of their proto files. Every field is there, whatever it holds;
//! `nodes` stand only where all of them are known.

use evergreen_proto::{api::v1 as pb, auth::v1 as auth};
use prost_types::Timestamp;
use serde_json::{Value, json};

/// A tree with its nodes.
pub(crate) fn tree(tree: &pb::Tree) -> Value {
    let mut value = listed_tree(tree);
    value["nodes"] = tree.nodes.iter().map(node).collect();
    value
}

/// A tree without them, as lists hold it.
pub(crate) fn listed_tree(tree: &pb::Tree) -> Value {
    json!({
        "treeId": tree.tree_id,
        "title": tree.title,
        "description": tree.description,
        "categoryId": tree.category_id,
        "folderId": tree.folder_id,
        "status": tree.status().as_str_name(),
        "visibility": tree.visibility().as_str_name(),
        "tags": tree.tags,
        "etag": tree.etag,
        "createTime": time(tree.create_time.as_ref()),
        "updateTime": time(tree.update_time.as_ref()),
        "ownerId": tree.owner_id,
        "revision": tree.revision.to_string(),
        "nodeCount": tree.node_count,
        "deleteTime": time(tree.delete_time.as_ref()),
        "purgeTime": time(tree.purge_time.as_ref()),
    })
}

pub(crate) fn node(node: &pb::TreeNode) -> Value {
    json!({
        "nodeId": node.node_id,
        "parentId": node.parent_id,
        "kind": node.kind().as_str_name(),
        "title": node.title,
        "body": node.body,
        "position": node.position,
    })
}

/// What a tree read at one time, without its nodes.
pub(crate) fn listed_revision(revision: &pb::TreeRevision) -> Value {
    json!({
        "revision": revision.revision.to_string(),
        "title": revision.title,
        "description": revision.description,
        "tags": revision.tags,
        "nodeCount": revision.node_count,
        "createTime": time(revision.create_time.as_ref()),
    })
}

/// The same with them.
pub(crate) fn revision(revision: &pb::TreeRevision) -> Value {
    let mut value = listed_revision(revision);
    value["nodes"] = revision.nodes.iter().map(node).collect();
    value
}

pub(crate) fn folder(folder: &pb::Folder) -> Value {
    json!({
        "folderId": folder.folder_id,
        "parentId": folder.parent_id,
        "name": folder.name,
        "position": folder.position,
        "etag": folder.etag,
        "createTime": time(folder.create_time.as_ref()),
        "updateTime": time(folder.update_time.as_ref()),
    })
}

pub(crate) fn category(category: &pb::Category) -> Value {
    json!({
        "categoryId": category.category_id,
        "name": category.name,
        "slug": category.slug,
        "description": category.description,
        "position": category.position,
        "etag": category.etag,
        "createTime": time(category.create_time.as_ref()),
        "updateTime": time(category.update_time.as_ref()),
    })
}

pub(crate) fn session(session: &auth::Session) -> Value {
    json!({
        "sessionId": session.session_id,
        "deviceName": session.device_name,
        "createTime": time(session.create_time.as_ref()),
        "lastRefreshTime": time(session.last_refresh_time.as_ref()),
        "expireTime": time(session.expire_time.as_ref()),
        "current": session.current,
    })
}

pub(crate) fn user_account(user: &auth::UserAccount) -> Value {
    json!({
        "userId": user.user_id,
        "username": user.username,
        "roles": user.roles,
        "disabled": user.disabled,
        "createTime": time(user.create_time.as_ref()),
    })
}

pub(crate) fn signing_key(key: &auth::SigningKey) -> Value {
    json!({
        "kid": key.kid,
        "state": key.state().as_str_name(),
        "createTime": time(key.create_time.as_ref()),
        "stateTime": time(key.state_time.as_ref()),
    })
}

pub(crate) fn audit_event(event: &auth::AuditEvent) -> Value {
    json!({
        "eventId": event.event_id,
        "eventTime": time(event.event_time.as_ref()),
        "kind": event.kind,
        "accountId": event.account_id,
        "sessionId": event.session_id,
        "actor": event.actor,
        "address": event.address,
        "deviceName": event.device_name,
        "detail": event.detail,
    })
}

/// RFC 3339, or null.
pub(crate) fn time(at: Option<&Timestamp>) -> Value {
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}

/// For people: to the minute, in UTC.
pub(crate) fn minute(at: Option<&Timestamp>) -> String {
    cut(at, 16)
}

/// For people: to the second, in UTC.
pub(crate) fn second(at: Option<&Timestamp>) -> String {
    cut(at, 19)
}

fn cut(at: Option<&Timestamp>, length: usize) -> String {
    let text = at.map(ToString::to_string).unwrap_or_default();
    text.get(..length).map(|kept| kept.replace('T', " ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_and_short_for_people() {
        let at = Timestamp { seconds: 1_790_000_000, nanos: 5_000_000 };
        assert_eq!(time(Some(&at)), "2026-09-21T14:13:20.005Z");
        assert_eq!(minute(Some(&at)), "2026-09-21 14:13");
        assert_eq!(second(Some(&at)), "2026-09-21 14:13:20");
        assert_eq!((time(None), minute(None)), (Value::Null, String::new()));
    }
}
