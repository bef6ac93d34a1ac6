//! Messages to domain types and back.

use client_sdk::guard;
use evergreen_proto::api::v1 as pb;
use tonic::{Request, Status};
use transport::observe::Notes;

use super::mask::Mask;
use crate::domain::{
    caller::Caller,
    category, folder,
    id::{self, CategoryId, FolderId},
    node::{Node, NodeKind, Nodes},
    page::{PageRequest, PageSize},
    revision::Revision,
    tree::{self, Visibility},
    violation::Violation,
};

pub(super) const TREE_FIELDS: [&str; 8] =
    ["title", "description", "category_id", "folder_id", "status", "visibility", "tags", "nodes"];
pub(super) const FOLDER_FIELDS: [&str; 3] = ["parent_id", "name", "position"];
pub(super) const CATEGORY_FIELDS: [&str; 4] = ["name", "slug", "description", "position"];

/// Who calls, as the guard found.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let Some(caller) = request.extensions().get::<guard::Caller>() else {
        tracing::error!("a request came past the guard");
        return Err(transport::status::internal());
    };
    Notes::of(request).account(&caller.user_id);
    Ok(Caller::new(&caller.user_id, caller.roles.iter().map(String::as_str)))
}

pub(super) fn page_request(size: i32, token: String) -> Result<PageRequest, Violation> {
    Ok(PageRequest { size: PageSize::parse(size)?, token })
}

/// How many there are; more than the wire can say are as many as it can say.
pub(super) fn count(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The message that a request is about.
pub(super) fn required<T>(field: &str, message: Option<T>) -> Result<T, Violation> {
    message.ok_or_else(|| Violation::new(field, "must be set"))
}

pub(super) fn tree_edit(tree: pb::Tree, mask: &Mask) -> Result<tree::Edit, Violation> {
    Ok(tree::Edit {
        title: mask.pick("title", || tree::title("tree.title", tree.title))?,
        description: mask
            .pick("description", || tree::description("tree.description", tree.description))?,
        category_id: mask.pick("category_id", || {
            id::optional("tree.category_id", &tree.category_id, CategoryId::parse)
        })?,
        folder_id: mask.pick("folder_id", || {
            id::optional("tree.folder_id", &tree.folder_id, FolderId::parse)
        })?,
        status: mask
            .pick("status", || Ok(status("tree.status", tree.status)?.unwrap_or_default()))?,
        visibility: mask.pick("visibility", || visibility("tree.visibility", tree.visibility))?,
        tags: mask.pick("tags", || tree::tags("tree.tags", tree.tags))?,
        nodes: mask.pick("nodes", || nodes("tree.nodes", tree.nodes))?,
    })
}

pub(super) fn folder_edit(folder: pb::Folder, mask: &Mask) -> Result<folder::Edit, Violation> {
    Ok(folder::Edit {
        parent_id: mask.pick("parent_id", || {
            id::optional("folder.parent_id", &folder.parent_id, FolderId::parse)
        })?,
        name: mask.pick("name", || folder::name("folder.name", folder.name))?,
        position: mask.pick("position", || Ok(folder.position))?,
    })
}

pub(super) fn new_folder(folder: pb::Folder) -> Result<folder::Content, Violation> {
    Ok(folder::Content {
        parent_id: id::optional("folder.parent_id", &folder.parent_id, FolderId::parse)?,
        name: folder::name("folder.name", folder.name)?,
        position: folder.position,
    })
}

pub(super) fn category_edit(
    category: pb::Category,
    mask: &Mask,
) -> Result<category::Edit, Violation> {
    Ok(category::Edit {
        name: mask.pick("name", || category::name("category.name", category.name))?,
        slug: mask.pick("slug", || category::slug("category.slug", category.slug))?,
        description: mask.pick("description", || {
            category::description("category.description", category.description)
        })?,
        position: mask.pick("position", || Ok(category.position))?,
    })
}

pub(super) fn new_category(category: pb::Category) -> Result<category::Content, Violation> {
    let name = category::name("category.name", category.name)?;
    let slug = match category.slug {
        slug if slug.is_empty() => category::slug_of("category.slug", &name)?,
        slug => category::slug("category.slug", slug)?,
    };
    let description = category::description("category.description", category.description)?;
    Ok(category::Content { name, slug, description, position: category.position })
}

/// A tree's status; `None` if it is unspecified.
pub(super) fn status(field: &str, value: i32) -> Result<Option<tree::Status>, Violation> {
    match pb::TreeStatus::try_from(value) {
        Ok(pb::TreeStatus::Unspecified) => Ok(None),
        Ok(pb::TreeStatus::Draft) => Ok(Some(tree::Status::Draft)),
        Ok(pb::TreeStatus::Published) => Ok(Some(tree::Status::Published)),
        Ok(pb::TreeStatus::Archived) => Ok(Some(tree::Status::Archived)),
        Err(_) => Err(unknown(field, value, "TreeStatus")),
    }
}

fn visibility(field: &str, value: i32) -> Result<Visibility, Violation> {
    match pb::TreeVisibility::try_from(value) {
        Ok(pb::TreeVisibility::Unspecified | pb::TreeVisibility::Private) => {
            Ok(Visibility::Private)
        }
        Ok(pb::TreeVisibility::Shared) => Ok(Visibility::Shared),
        Err(_) => Err(unknown(field, value, "TreeVisibility")),
    }
}

fn nodes(field: &str, nodes: Vec<pb::TreeNode>) -> Result<Nodes, Violation> {
    Nodes::check_count(field, nodes.len())?;
    let nodes: Result<Vec<_>, _> = nodes
        .into_iter()
        .enumerate()
        .map(|(i, node)| {
            let field = || format!("{field}[{i}].kind");
            let kind = match pb::NodeKind::try_from(node.kind) {
                Ok(pb::NodeKind::Question) => NodeKind::Question,
                Ok(pb::NodeKind::Action) => NodeKind::Action,
                Ok(pb::NodeKind::Solution) => NodeKind::Solution,
                Ok(pb::NodeKind::Unspecified) => {
                    return Err(Violation::new(field(), "must be set"));
                }
                Err(_) => return Err(unknown(&field(), node.kind, "NodeKind")),
            };
            Ok(Node {
                node_id: node.node_id,
                parent_id: (!node.parent_id.is_empty()).then_some(node.parent_id),
                kind,
                title: node.title,
                body: node.body,
                position: node.position,
            })
        })
        .collect();
    Nodes::parse(field, nodes?)
}

fn unknown(field: &str, value: i32, name: &str) -> Violation {
    Violation::new(field, format!("{value} is not a {name}"))
}

impl From<tree::Tree> for pb::Tree {
    fn from(tree: tree::Tree) -> Self {
        let content = tree.content;
        Self {
            tree_id: tree.id.to_string(),
            title: content.title,
            description: content.description,
            category_id: content.category_id.map(|id| id.to_string()).unwrap_or_default(),
            folder_id: content.folder_id.map(|id| id.to_string()).unwrap_or_default(),
            status: match content.status {
                tree::Status::Archived => pb::TreeStatus::Archived,
                tree::Status::Draft => pb::TreeStatus::Draft,
                tree::Status::Published => pb::TreeStatus::Published,
            }
            .into(),
            visibility: match content.visibility {
                Visibility::Private => pb::TreeVisibility::Private,
                Visibility::Shared => pb::TreeVisibility::Shared,
            }
            .into(),
            tags: content.tags,
            nodes: content.nodes.into_vec().into_iter().map(pb::TreeNode::from).collect(),
            etag: tree.etag.0,
            create_time: Some(instant(tree.created_at)),
            update_time: Some(instant(tree.updated_at)),
            owner_id: tree.owner_id,
            revision: tree.revision,
            node_count: tree.node_count,
            delete_time: tree.deletion.map(|deletion| instant(deletion.deleted_at)),
            purge_time: tree.deletion.map(|deletion| instant(deletion.purge_at)),
        }
    }
}

impl From<Revision> for pb::TreeRevision {
    fn from(revision: Revision) -> Self {
        Self {
            revision: revision.number,
            title: revision.title,
            description: revision.description,
            tags: revision.tags,
            nodes: revision.nodes.into_vec().into_iter().map(pb::TreeNode::from).collect(),
            node_count: revision.node_count,
            create_time: Some(instant(revision.created_at)),
        }
    }
}

impl From<Node> for pb::TreeNode {
    fn from(node: Node) -> Self {
        Self {
            node_id: node.node_id,
            parent_id: node.parent_id.unwrap_or_default(),
            kind: match node.kind {
                NodeKind::Action => pb::NodeKind::Action,
                NodeKind::Question => pb::NodeKind::Question,
                NodeKind::Solution => pb::NodeKind::Solution,
            }
            .into(),
            title: node.title,
            body: node.body,
            position: node.position,
        }
    }
}

impl From<folder::Folder> for pb::Folder {
    fn from(folder: folder::Folder) -> Self {
        Self {
            folder_id: folder.id.to_string(),
            parent_id: folder.content.parent_id.map(|id| id.to_string()).unwrap_or_default(),
            name: folder.content.name,
            position: folder.content.position,
            etag: folder.etag.0,
            create_time: Some(instant(folder.created_at)),
            update_time: Some(instant(folder.updated_at)),
        }
    }
}

impl From<category::Category> for pb::Category {
    fn from(category: category::Category) -> Self {
        Self {
            category_id: category.id.to_string(),
            name: category.content.name,
            slug: category.content.slug,
            description: category.content.description,
            position: category.content.position,
            etag: category.etag.0,
            create_time: Some(instant(category.created_at)),
            update_time: Some(instant(category.updated_at)),
        }
    }
}

fn instant(at: token::clock::Timestamp) -> prost_types::Timestamp {
    let millis = i32::try_from(at.unix_millis().rem_euclid(1000)).unwrap_or_default();
    prost_types::Timestamp { seconds: at.unix_seconds(), nanos: millis * 1_000_000 }
}
