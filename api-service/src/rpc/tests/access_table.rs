//! Every RPC, by every role, on things of every relation, through the whole service.

use evergreen_proto::api::v1::{self as pb, change::Resource};
use prost_types::FieldMask;
use tonic::{Code, Status, Streaming};

use super::harness::{ADMIN, Caller, EDITOR, VIEWER, World, said};
use crate::{MemoryDatabase, rpc::methods::promised};

/// For no role, viewer, editor and admin; in each, what is the caller's own, another's but shared,
/// another's alone, the caller's but deleted, and another's, shared and deleted. `+` allowed (in a
/// list: listed; in a stream: told of), `-` denied, `?` as if it did not exist, `d` refused since it is
/// deleted, `n` since it is not, a space: there is no such thing.
const TABLE: [(&str, [&str; 4]); 26] = [
    ("ListTrees", ["-----", "++???", "++???", "++???"]),
    ("GetTree", ["-----", "++?+?", "++?+?", "++?+?"]),
    ("CreateTree", ["- -  ", "- -  ", "+ ?  ", "+ ?  "]),
    ("UpdateTree", ["-----", "-----", "+-?d?", "+-?d?"]),
    ("DeleteTree", ["-----", "-----", "+-?d?", "+-?d?"]),
    ("UndeleteTree", ["-----", "-----", "n-?+?", "n-?+?"]),
    ("ListDeletedTrees", ["-----", "???+?", "???+?", "???+?"]),
    ("ListTreeRevisions", ["-----", "++?+?", "++?+?", "++?+?"]),
    ("GetTreeRevision", ["-----", "++?+?", "++?+?", "++?+?"]),
    ("RollbackTree", ["-----", "-----", "+-?d?", "+-?d?"]),
    ("ListFolders", ["- -  ", "+ ?  ", "+ ?  ", "+ ?  "]),
    ("GetFolder", ["- -  ", "+ ?  ", "+ ?  ", "+ ?  "]),
    ("GetFolderSubtree", ["- -  ", "+ ?  ", "+ ?  ", "+ ?  "]),
    ("CreateFolder", ["- -  ", "- -  ", "+ ?  ", "+ ?  "]),
    ("UpdateFolder", ["- -  ", "- -  ", "+ ?  ", "+ ?  "]),
    ("DeleteFolder", ["- -  ", "- -  ", "+ ?  ", "+ ?  "]),
    ("MoveFolder", ["- -  ", "- -  ", "+ ?  ", "+ ?  "]),
    ("ListCategories", [" -   ", " +   ", " +   ", " +   "]),
    ("GetCategory", [" -   ", " +   ", " +   ", " +   "]),
    ("CreateCategory", [" -   ", " -   ", " -   ", " +   "]),
    ("UpdateCategory", [" -   ", " -   ", " -   ", " +   "]),
    ("DeleteCategory", [" -   ", " -   ", " -   ", " +   "]),
    ("SearchTrees", ["-----", "++???", "++???", "++???"]),
    ("WatchChanges", ["-----", "++?++", "++?++", "++?++"]),
    ("ExportTrees", ["-----", "+????", "+????", "+????"]),
    ("ImportTrees", ["- -  ", "- -  ", "+ ?  ", "+ ?  "]),
];

/// What a call is about.
struct Thing {
    /// Where the caller's changes were before there was any of it.
    cursor: String,
    /// Its title, a word that no other has.
    name: String,
    tree_id: String,
    folder_id: String,
    category_id: String,
}

impl Thing {
    /// `relation` as in the table; `name` is different for each.
    async fn new(world: &World, relation: usize, name: &str) -> Self {
        let mut changes = world.caller("ada", VIEWER).watch("").await.unwrap();
        let cursor = changes.message().await.unwrap().unwrap().cursor;
        let owner = if matches!(relation, 0 | 3) { "ada" } else { "eve" };
        let owner = world.caller(owner, EDITOR);
        let shared = |tree: &mut pb::Tree| tree.visibility = pb::TreeVisibility::Shared.into();
        let tree_id = match relation {
            1 | 4 => owner.tree(name, shared).await.tree_id,
            _ => owner.tree(name, |_| {}).await.tree_id,
        };
        if matches!(relation, 3 | 4) {
            let (tree_id, etag) = (tree_id.clone(), String::new());
            owner.delete_tree(pb::DeleteTreeRequest { tree_id, etag }).await.unwrap();
        }
        let folder_id = owner.folder(name, "").await.folder_id;
        let category_id = world.caller("root", ADMIN).category(name).await.category_id;
        Self { cursor, name: name.to_owned(), tree_id, folder_id, category_id }
    }
}

/// Whether a stream of changes tells of the tree, before it tells of what was made later.
async fn told_of(
    mut changes: Streaming<pb::WatchChangesResponse>,
    tree_id: &str,
    later: &str,
) -> Result<bool, Status> {
    let mut told = false;
    while let Some(response) = changes.message().await? {
        match response.change.and_then(|change| change.resource) {
            Some(Resource::Tree(tree)) => told |= tree.tree_id == tree_id,
            Some(Resource::Folder(folder)) if folder.folder_id == later => return Ok(told),
            _ => {}
        }
    }
    panic!("the stream ended")
}

fn only(path: &str) -> Option<FieldMask> {
    Some(FieldMask { paths: vec![path.into()] })
}

/// Whether it was done, or listed.
async fn call(world: &World, rpc: &str, caller: &Caller, thing: Thing) -> Result<bool, Status> {
    let Thing { cursor, name, tree_id, folder_id, category_id } = thing;
    let etag = String::new();
    let page_size = 500;
    match rpc {
        "ListTrees" => {
            let request = pb::ListTreesRequest { page_size, ..Default::default() };
            let trees = caller.list_trees(request).await?.trees;
            return Ok(trees.iter().any(|tree| tree.tree_id == tree_id));
        }
        "ListDeletedTrees" => {
            let request = pb::ListDeletedTreesRequest { page_size, ..Default::default() };
            let trees = caller.list_deleted_trees(request).await?.trees;
            return Ok(trees.iter().any(|tree| tree.tree_id == tree_id));
        }
        "ListCategories" => {
            let request = pb::ListCategoriesRequest { page_size, ..Default::default() };
            let found = caller.list_categories(request).await?.categories;
            return Ok(found.iter().any(|category| category.category_id == category_id));
        }
        "SearchTrees" => {
            let request = pb::SearchTreesRequest { query: name, ..Default::default() };
            let found = caller.search_trees(request).await?.results;
            let found: Vec<_> = found.into_iter().map(|it| it.tree.unwrap().tree_id).collect();
            assert!(found.len() <= 1 && found.iter().all(|id| *id == tree_id));
            return Ok(!found.is_empty());
        }
        "ExportTrees" => {
            let mut trees = caller.export(pb::ExportTreesRequest::default()).await?;
            let mut found = false;
            while let Some(response) = trees.message().await? {
                found |= response.tree.unwrap().tree_id == tree_id;
            }
            return Ok(found);
        }
        "WatchChanges" => {
            let changes = caller.watch(&cursor).await?;
            let later = world.caller("ada", EDITOR).folder(&format!("after {name}"), "").await;
            return told_of(changes, &tree_id, &later.folder_id).await;
        }
        "ImportTrees" => {
            let tree = pb::Tree { title: "new".into(), folder_id, ..Default::default() };
            caller.import(None, tokio_stream::iter([tree])).await?;
        }
        "GetTree" => drop(caller.get_tree(pb::GetTreeRequest { tree_id }).await?),
        "CreateTree" => {
            let tree = pb::Tree { title: "new".into(), folder_id, ..Default::default() };
            caller.create_tree(pb::CreateTreeRequest { tree: Some(tree) }).await?;
        }
        "UpdateTree" => {
            let tree = Some(pb::Tree { tree_id, title: "new".into(), ..Default::default() });
            let update_mask = only("title");
            caller.update_tree(pb::UpdateTreeRequest { tree, update_mask }).await?;
        }
        "DeleteTree" => drop(caller.delete_tree(pb::DeleteTreeRequest { tree_id, etag }).await?),
        "UndeleteTree" => {
            caller.undelete_tree(pb::UndeleteTreeRequest { tree_id, etag }).await?;
        }
        "ListTreeRevisions" => {
            let request = pb::ListTreeRevisionsRequest { tree_id, ..Default::default() };
            caller.list_tree_revisions(request).await?;
        }
        "GetTreeRevision" => {
            let request = pb::GetTreeRevisionRequest { tree_id, revision: 1 };
            caller.get_tree_revision(request).await?;
        }
        "RollbackTree" => {
            let request = pb::RollbackTreeRequest { tree_id, revision: 1, etag };
            caller.rollback_tree(request).await?;
        }
        "ListFolders" => {
            let request = pb::ListFoldersRequest { parent_id: folder_id, ..Default::default() };
            caller.list_folders(request).await?;
        }
        "GetFolder" => drop(caller.get_folder(pb::GetFolderRequest { folder_id }).await?),
        "GetFolderSubtree" => {
            caller.get_folder_subtree(pb::GetFolderSubtreeRequest { folder_id }).await?;
        }
        "CreateFolder" => {
            let (name, parent_id) = ("new".into(), folder_id);
            let folder = Some(pb::Folder { name, parent_id, ..Default::default() });
            caller.create_folder(pb::CreateFolderRequest { folder }).await?;
        }
        "UpdateFolder" => {
            let folder = Some(pb::Folder { folder_id, position: 1, ..Default::default() });
            let update_mask = only("position");
            caller.update_folder(pb::UpdateFolderRequest { folder, update_mask }).await?;
        }
        "DeleteFolder" => {
            let request = pb::DeleteFolderRequest { folder_id, etag, force: true };
            caller.delete_folder(request).await?;
        }
        "MoveFolder" => {
            let request = pb::MoveFolderRequest { folder_id, ..Default::default() };
            caller.move_folder(request).await?;
        }
        "GetCategory" => {
            caller.get_category(pb::GetCategoryRequest { category_id }).await?;
        }
        "CreateCategory" => {
            let (name, slug) = ("New".into(), format!("x{category_id}"));
            let category = Some(pb::Category { name, slug, ..Default::default() });
            caller.create_category(pb::CreateCategoryRequest { category }).await?;
        }
        "UpdateCategory" => {
            let category = Some(pb::Category { category_id, position: 1, ..Default::default() });
            let update_mask = only("position");
            caller.update_category(pb::UpdateCategoryRequest { category, update_mask }).await?;
        }
        "DeleteCategory" => {
            let request = pb::DeleteCategoryRequest { category_id, ..Default::default() };
            caller.delete_category(request).await?;
        }
        _ => panic!("{rpc} is not called"),
    }
    Ok(true)
}

fn letter(result: Result<bool, Status>) -> char {
    let status = match result {
        Ok(true) => return '+',
        Ok(false) => return '?',
        Err(status) => status,
    };
    let (code, reason) = said(&status);
    match (code, reason.as_str()) {
        (Code::PermissionDenied, "PERMISSION_DENIED") => '-',
        (Code::NotFound, "TREE_NOT_FOUND" | "FOLDER_NOT_FOUND" | "CATEGORY_NOT_FOUND") => '?',
        (Code::FailedPrecondition, "TREE_DELETED") => 'd',
        (Code::AlreadyExists, "TREE_NOT_DELETED") => 'n',
        _ => panic!("{status:?}"),
    }
}

#[test]
fn every_rpc_has_a_row() {
    let mut rows = TABLE.map(|(rpc, _)| rpc.to_owned());
    rows.sort();
    assert_eq!(rows.to_vec(), promised());
}

#[tokio::test]
async fn every_rpc_by_every_role_on_every_relation() {
    let world = World::in_memory(&MemoryDatabase::default(), 1).await;
    let roles: [&[&str]; 4] = [&[], VIEWER, EDITOR, ADMIN];
    let mut things = 0;
    for (rpc, rows) in TABLE {
        for (role, row) in roles.into_iter().zip(rows) {
            let ada = world.caller("ada", role);
            let mut answers = String::new();
            for (relation, expected) in row.chars().enumerate() {
                if expected == ' ' {
                    answers.push(' ');
                    continue;
                }
                things += 1;
                let thing = Thing::new(&world, relation, &format!("thing{things}it")).await;
                answers.push(letter(call(&world, rpc, &ada, thing).await));
            }
            assert_eq!(answers, row, "{rpc} by {role:?}");
        }
    }
    assert_eq!(things, 332);
}
