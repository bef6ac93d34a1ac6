//! What [`Store`] promises, as tests that every backend passes.

pub(in crate::storage) mod changes;
pub(in crate::storage) mod deletion;
pub(in crate::storage) mod merges;
pub(in crate::storage) mod revisions;
pub(in crate::storage) mod search;
pub(in crate::storage) mod subtrees;
pub(in crate::storage) mod transfer;

use std::{any::Any, sync::Arc, time::Duration};

use token::{
    clock::Timestamp,
    entropy::{Entropy, SeededEntropy},
};

use super::{CategoryKey, FolderKey, Store, StoreError, TreeFilter, TreeKey};
use crate::domain::{
    category::{self, Category},
    change::Stamp,
    etag::Etag,
    folder::{self, DEEPEST, Folder, MOST},
    id::{CategoryId, FolderId, TreeId},
    node::{Node, NodeKind, Nodes},
    tree::{self, Deletion, Edit, Misstate, Status, Tree, Visibility},
};

/// An empty store, and whatever must live as long as it does; `None` where there can be none.
pub(super) type Opened = Option<(Arc<dyn Store>, Box<dyn Any + Send>)>;

/// Makes a test of each promise, over stores that `$open` opens.
macro_rules! contract {
    ($open:path $(, $module:ident)?: $($promise:ident)*) => {
        $crate::storage::contract::contract! { @ $open; [$($module::)?]; $($promise)* }
    };
    (@ $open:path; $module:tt; $($promise:ident)*) => {
        $($crate::storage::contract::contract! { @ $open; $module $promise })*
    };
    (@ $open:path; [$($module:tt)*] $promise:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            let Some((store, _kept)) = $open().await else { return };
            let world = $crate::storage::contract::World::new(store);
            $crate::storage::contract::$($module)*$promise(world).await;
        }
    };
    ($open:path) => {
        $crate::storage::contract::contract! { $open, changes:
            each_write_is_logged_in_its_order
            what_goes_with_something_else_is_logged_too
            what_was_refused_is_not_logged
            one_reads_what_concerns_one_from_any_place
            a_place_that_the_log_does_not_have_is_none
            the_log_is_trimmed_up_to_the_newest_change_that_is_old
            a_write_rings
        }
        $crate::storage::contract::contract! { $open, deletion:
            a_deleted_tree_is_its_owners_alone
            a_deleted_tree_comes_back_as_it_was_but_unfiled
            deleted_trees_are_listed_last_deleted_first_and_once
            a_deleted_tree_is_in_no_folder_and_still_in_its_category
            what_is_due_is_purged_batch_by_batch_and_nothing_else
        }
        $crate::storage::contract::contract! { $open, revisions:
            what_a_tree_read_stays_readable
            what_moves_a_tree_writes_no_revision
            the_newest_hundred_revisions_are_kept
            revisions_are_read_by_whoever_may_read_the_tree
        }
        $crate::storage::contract::contract! { $open, search:
            a_tree_is_found_by_all_its_words
            the_last_word_counts_by_its_beginning
            trees_found_by_title_and_tags_come_first
            only_what_one_may_read_is_found
            what_was_changed_is_found_as_it_is_now
            what_is_deleted_is_not_found_until_it_is_back
            a_search_goes_on_where_it_was
            hostile_queries_find_words_alone
        }
        $crate::storage::contract::contract! { $open, subtrees:
            a_subtree_holds_a_folder_and_all_below_it
            a_user_has_so_many_folders_at_most
            a_folder_is_deleted_with_all_that_is_in_it
            a_subtree_that_is_not_deleted_stays_whole
            a_folder_of_too_many_trees_stays_whole
            what_is_filed_while_its_folder_is_deleted_is_never_lost
        }
        $crate::storage::contract::contract! { $open, transfer:
            own_trees_are_gone_through_oldest_first
            a_group_is_created_wholly_or_not_at_all
            of_two_streams_of_one_import_one_goes_on
            an_import_runs_out
        }
        $crate::storage::contract::contract! { $open, merges:
            trees_move_batch_by_batch_and_the_category_goes_with_the_last
            a_merge_that_is_refused_moves_nothing
            what_is_filed_while_its_category_is_merged_is_never_lost
            who_saw_a_tree_before_it_was_moved_is_stale
        }
        $crate::storage::contract::contract! { $open:
            a_tree_comes_back_as_it_was_written
            what_is_private_is_not_found_by_others
            of_two_writers_who_saw_the_same_tree_one_is_stale
            a_stale_etag_writes_and_deletes_nothing
            references_are_the_owners_own
            trees_are_listed_newest_first_and_once
            trees_are_filtered
            siblings_have_different_names
            folders_nest_sixteen_deep
            a_folder_is_not_moved_into_itself
            of_two_racing_moves_that_make_a_ring_one_is_refused
            a_folder_that_holds_something_stays
            folders_are_listed_by_position_and_name
            categories_have_their_own_slugs
            a_category_in_use_stays
            the_page_token_key_is_made_once
            a_closed_store_is_unavailable
        }
    };
}
pub(super) use contract;

/// A store, and what makes things to put into it.
pub(super) struct World {
    store: Arc<dyn Store>,
    entropy: SeededEntropy,
}

impl World {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, entropy: SeededEntropy::new(1) }
    }

    fn entropy(&self) -> &dyn Entropy {
        &self.entropy
    }

    fn etag(&self) -> Etag {
        Etag::new(self.entropy())
    }

    fn stamp(&self) -> Stamp {
        Stamp::new(minute_of_test(0), self.entropy())
    }

    fn a_tree(&self, owner: &str, minute: u64) -> Tree {
        let at = minute_of_test(minute);
        let content = tree::Content { title: format!("tree {minute}"), ..Default::default() };
        let (id, etag) = (TreeId::new(at, self.entropy()), self.etag());
        Tree::new(id, owner.into(), content, etag, at)
    }

    async fn tree(&self, owner: &str, minute: u64, change: impl FnOnce(&mut Tree)) -> Tree {
        let mut tree = self.a_tree(owner, minute);
        change(&mut tree);
        tree.node_count = tree.content.nodes.count();
        self.store.insert_tree(&tree).await.unwrap();
        tree
    }

    /// Writes the next state of a tree.
    async fn write(
        &self,
        tree: &Tree,
        change: impl FnOnce(Tree, Etag) -> Result<Tree, Misstate>,
    ) -> Result<Tree, StoreError> {
        let next = change(tree.clone(), self.etag()).unwrap();
        self.store.update_tree(&next, &tree.etag).await.map(|()| next)
    }

    async fn delete(&self, tree: &Tree, minute: u64) -> Tree {
        let deletion = Deletion::new(minute_of_test(minute), RETENTION);
        self.write(tree, |tree, etag| tree.deleted(deletion, etag)).await.unwrap()
    }

    fn a_folder(&self, owner: &str, parent: Option<FolderId>, name: &str) -> Folder {
        Folder {
            id: FolderId::new(minute_of_test(0), self.entropy()),
            owner_id: owner.into(),
            content: folder::Content { parent_id: parent, name: name.into(), position: 0 },
            etag: Etag::new(self.entropy()),
            created_at: minute_of_test(0),
            updated_at: minute_of_test(0),
        }
    }

    async fn folder(&self, owner: &str, parent: Option<FolderId>, name: &str) -> Folder {
        let folder = self.a_folder(owner, parent, name);
        self.store.insert_folder(&folder, MOST).await.unwrap();
        folder
    }

    /// A chain of folders, from the top.
    async fn chain(&self, owner: &str, names: &str) -> Vec<Folder> {
        let mut chain: Vec<Folder> = Vec::new();
        for name in names.chars() {
            let parent = chain.last().map(|folder| folder.id);
            chain.push(self.folder(owner, parent, &name.to_string()).await);
        }
        chain
    }

    async fn put(&self, folder: &Folder, parent: Option<FolderId>) -> Result<(), StoreError> {
        let mut moved = folder.clone();
        moved.content.parent_id = parent;
        moved.etag = Etag::new(self.entropy());
        self.store.update_folder(&moved, &folder.etag).await
    }

    async fn category(&self, slug: &str, position: i32) -> Result<Category, StoreError> {
        let category = Category {
            id: CategoryId::new(minute_of_test(0), self.entropy()),
            content: category::Content {
                name: slug.to_uppercase(),
                slug: slug.into(),
                description: "about".into(),
                position,
            },
            etag: Etag::new(self.entropy()),
            created_at: minute_of_test(0),
            updated_at: minute_of_test(0),
        };
        self.store.insert_category(&category).await.map(|()| category)
    }

    async fn titles(&self, filter: &TreeFilter) -> Vec<String> {
        let trees = self.store.trees(filter, None, 100).await.unwrap();
        trees.into_iter().map(|tree| tree.content.title).collect()
    }
}

const RETENTION: Duration = Duration::from_secs(60 * 60);

fn minute_of_test(minute: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000) + Duration::from_secs(60 * minute)
}

fn nodes(count: usize) -> Nodes {
    let node = |i: usize| Node {
        node_id: format!("n{i}"),
        parent_id: (i > 0).then(|| "n0".to_owned()),
        kind: [NodeKind::Question, NodeKind::Action, NodeKind::Solution][i % 3],
        title: format!("Step {i} — 🌲"),
        body: "a\nb".into(),
        position: -(i as i32),
    };
    Nodes::parse("nodes", (0..count).map(node).collect()).unwrap()
}

fn everything_of(reader: &str) -> TreeFilter {
    TreeFilter {
        reader: reader.into(),
        category_id: None,
        folder_id: None,
        status: None,
        mine: false,
    }
}

pub(super) async fn a_tree_comes_back_as_it_was_written(world: World) {
    let folder = world.folder("ada", None, "f").await;
    let category = world.category("c", 0).await.unwrap();
    for (minute, count) in [(0, 0), (1, 1), (2, Nodes::MOST)] {
        let tree = world
            .tree("ada", minute, |tree| {
                tree.content = tree::Content {
                    title: "Title".into(),
                    description: "line\nline".into(),
                    category_id: Some(category.id),
                    folder_id: Some(folder.id),
                    status: Status::Archived,
                    visibility: Visibility::Shared,
                    tags: vec!["a\"b".into(), "ü".into()],
                    nodes: nodes(count),
                };
            })
            .await;
        assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);
        let edit = Edit { nodes: Some(nodes(count / 2)), folder_id: Some(None), ..Edit::default() };
        let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(99));
        let tree = world.write(&tree, edit).await.unwrap();
        assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);
    }
}

pub(super) async fn what_is_private_is_not_found_by_others(world: World) {
    let private = world.tree("ada", 0, |_| {}).await;
    let shared = world.tree("ada", 1, |t| t.content.visibility = Visibility::Shared).await;
    let missing = world.a_tree("eve", 2);
    for id in [private.id, missing.id] {
        let read = world.store.tree(id, "eve").await;
        assert!(matches!(read, Err(StoreError::TreeNotFound)));
    }
    assert!(world.store.tree(shared.id, "eve").await.is_ok());
    for mut tree in [private, shared] {
        // Shared or not, it is written by its owner alone.
        let seen = tree.etag.clone();
        tree.owner_id = "eve".into();
        let written = world.store.update_tree(&tree, &seen).await;
        assert!(matches!(written, Err(StoreError::TreeNotFound)));
        assert!(world.store.tree(tree.id, "ada").await.is_ok());
    }
    let folder = world.folder("ada", None, "f").await;
    let read = world.store.folder(folder.id, "eve").await;
    assert!(matches!(read, Err(StoreError::FolderNotFound)));
    let deleted = world.store.delete_folder(folder.id, "eve", None, world.stamp()).await;
    assert!(matches!(deleted, Err(StoreError::FolderNotFound)));
    let seen = folder.etag.clone();
    let taken = Folder { owner_id: "eve".into(), ..folder };
    let written = world.store.update_folder(&taken, &seen).await;
    assert!(matches!(written, Err(StoreError::FolderNotFound)));
    assert!(world.store.folders("eve", None, None, 10).await.unwrap().is_empty());
}

pub(super) async fn of_two_writers_who_saw_the_same_tree_one_is_stale(world: World) {
    let mut current = world.tree("ada", 0, |_| {}).await;
    for round in 0..20 {
        let write = |name: &str| {
            let mut next = current.clone();
            next.content.title = format!("{name} {round}");
            next.etag = Etag::new(world.entropy());
            next
        };
        let (a, b) = (write("a"), write("b"));
        let results = tokio::join!(
            world.store.update_tree(&a, &current.etag),
            world.store.update_tree(&b, &current.etag)
        );
        current = match results {
            (Ok(()), Err(StoreError::EtagMismatch)) => a,
            (Err(StoreError::EtagMismatch), Ok(())) => b,
            both => panic!("{both:?}"),
        };
        assert_eq!(world.store.tree(current.id, "ada").await.unwrap(), current);
    }
}

pub(super) async fn a_stale_etag_writes_and_deletes_nothing(world: World) {
    let stale = Etag("stale".into());
    let is_stale = |result| matches!(result, Err(StoreError::EtagMismatch));
    let tree = world.tree("ada", 0, |t| t.content.nodes = nodes(3)).await;
    let mut other = tree.clone();
    other.content.nodes = nodes(1);
    assert!(is_stale(world.store.update_tree(&other, &stale).await));
    let deletion = Deletion::new(minute_of_test(1), RETENTION);
    let deleted = tree.clone().deleted(deletion, world.etag()).unwrap();
    assert!(is_stale(world.store.update_tree(&deleted, &stale).await));
    assert_eq!(world.store.tree(tree.id, "ada").await.unwrap(), tree);

    let folder = world.folder("ada", None, "f").await;
    let mut other = folder.clone();
    other.content.name = "g".into();
    assert!(is_stale(world.store.update_folder(&other, &stale).await));
    assert!(is_stale(
        world.store.delete_folder(folder.id, "ada", Some(&stale), world.stamp()).await
    ));
    assert_eq!(world.store.folder(folder.id, "ada").await.unwrap(), folder);

    let category = world.category("c", 0).await.unwrap();
    let mut other = category.clone();
    other.content.slug = "d".into();
    assert!(is_stale(world.store.update_category(&other, &stale).await));
    assert!(is_stale(world.store.delete_category(category.id, Some(&stale), world.stamp()).await));
    assert_eq!(world.store.category(category.id).await.unwrap(), category);
}

pub(super) async fn references_are_the_owners_own(world: World) {
    let foreign = world.folder("eve", None, "f").await;
    let missing = FolderId::new(minute_of_test(5), world.entropy());
    for folder in [foreign.id, missing] {
        let mut tree = world.a_tree("ada", 0);
        tree.content.folder_id = Some(folder);
        let written = world.store.insert_tree(&tree).await;
        assert!(matches!(written, Err(StoreError::FolderNotFound)));
        let written =
            world.store.insert_folder(&world.a_folder("ada", Some(folder), "g"), MOST).await;
        assert!(matches!(written, Err(StoreError::FolderNotFound)));
        let mine = world.folder("ada", None, &folder.to_string()).await;
        assert!(matches!(world.put(&mine, Some(folder)).await, Err(StoreError::FolderNotFound)));
    }
    let mut tree = world.tree("ada", 0, |_| {}).await;
    tree.content.category_id = Some(CategoryId::new(minute_of_test(5), world.entropy()));
    let written = world.store.update_tree(&tree, &tree.etag).await;
    assert!(matches!(written, Err(StoreError::CategoryNotFound)));
}

pub(super) async fn trees_are_listed_newest_first_and_once(world: World) {
    let mut expected = Vec::new();
    for minute in 0..30 {
        // Three trees of the same instant each, so that ids must break the tie.
        let at = minute / 3;
        let owner = if minute % 2 == 0 { "ada" } else { "bob" };
        let shared = minute % 5 == 0;
        let tree = world
            .tree(owner, at, |t| {
                t.content.title = minute.to_string();
                if shared {
                    t.content.visibility = Visibility::Shared;
                }
            })
            .await;
        if owner == "ada" || shared {
            expected.push((tree.created_at, tree.id.0));
        }
    }
    expected.sort_unstable();
    expected.reverse();
    for limit in [1, 2, 7, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page =
                world.store.trees(&everything_of("ada"), after.as_ref(), limit).await.unwrap();
            found.extend(page.iter().map(|tree| (tree.created_at, tree.id.0)));
            assert!(found.len() < 1_000, "the list does not come to an end");
            // Newer ones, which belong before every page to come, are neither shown nor in the way.
            world.tree("ada", 1_000, |t| t.content.visibility = Visibility::Shared).await;
            match page.last() {
                Some(last) => {
                    after = Some(TreeKey { created_at: last.created_at, id: last.id });
                }
                None => break,
            }
        }
        let found: Vec<_> =
            found.into_iter().filter(|(at, _)| *at < minute_of_test(1_000)).collect();
        assert_eq!(found, expected, "{limit} at a time");
    }
}

pub(super) async fn trees_are_filtered(world: World) {
    let folder = world.folder("ada", None, "f").await;
    let category = world.category("c", 0).await.unwrap();
    world.tree("ada", 1, |t| t.content.folder_id = Some(folder.id)).await;
    world.tree("ada", 2, |t| t.content.category_id = Some(category.id)).await;
    world.tree("ada", 3, |t| t.content.status = Status::Published).await;
    world
        .tree("bob", 4, |t| {
            t.content.category_id = Some(category.id);
            t.content.status = Status::Published;
            t.content.visibility = Visibility::Shared;
        })
        .await;
    world.tree("bob", 5, |t| t.content.category_id = Some(category.id)).await;
    let all = || everything_of("ada");
    for (filter, titles) in [
        (all(), &["tree 4", "tree 3", "tree 2", "tree 1"][..]),
        (TreeFilter { folder_id: Some(folder.id), ..all() }, &["tree 1"]),
        (TreeFilter { category_id: Some(category.id), ..all() }, &["tree 4", "tree 2"]),
        (TreeFilter { status: Some(Status::Published), ..all() }, &["tree 4", "tree 3"]),
        (TreeFilter { status: Some(Status::Draft), ..all() }, &["tree 2", "tree 1"]),
        (TreeFilter { status: Some(Status::Archived), ..all() }, &[]),
        (
            TreeFilter { category_id: Some(category.id), status: Some(Status::Published), ..all() },
            &["tree 4"],
        ),
        (TreeFilter { folder_id: Some(folder.id), ..everything_of("bob") }, &[]),
        (TreeFilter { mine: true, ..all() }, &["tree 3", "tree 2", "tree 1"]),
        (TreeFilter { mine: true, status: Some(Status::Published), ..all() }, &["tree 3"]),
        (TreeFilter { mine: true, category_id: Some(category.id), ..all() }, &["tree 2"]),
        (TreeFilter { mine: true, ..everything_of("eve") }, &[]),
    ] {
        assert_eq!(world.titles(&filter).await, titles, "{filter:?}");
    }
}

pub(super) async fn siblings_have_different_names(world: World) {
    let top = world.folder("ada", None, "a").await;
    let below = world.folder("ada", Some(top.id), "a").await;
    world.folder("bob", None, "a").await;
    world.folder("ada", None, "A").await;
    for parent in [None, Some(top.id)] {
        let again = world.store.insert_folder(&world.a_folder("ada", parent, "a"), MOST).await;
        assert!(matches!(again, Err(StoreError::FolderNameTaken)));
    }
    assert!(matches!(world.put(&below, None).await, Err(StoreError::FolderNameTaken)));
    let mut renamed = world.folder("ada", None, "b").await;
    renamed.content.name = "a".into();
    let written = world.store.update_folder(&renamed, &renamed.etag).await;
    assert!(matches!(written, Err(StoreError::FolderNameTaken)));
}

pub(super) async fn folders_nest_sixteen_deep(world: World) {
    let names: String = ('a'..).take(DEEPEST).collect();
    let chain = world.chain("ada", &names).await;
    let deepest = chain.last().unwrap();
    let deeper =
        world.store.insert_folder(&world.a_folder("ada", Some(deepest.id), "x"), MOST).await;
    assert!(matches!(deeper, Err(StoreError::FolderTooDeep)));
    // What is moved brings along what it holds.
    let pair = world.chain("ada", "xy").await;
    let (fits, too_deep) = (chain[DEEPEST - 3].id, chain[DEEPEST - 2].id);
    let refused = world.put(&pair[0], Some(too_deep)).await;
    assert!(matches!(refused, Err(StoreError::FolderTooDeep)));
    world.put(&pair[0], Some(fits)).await.unwrap();
}

pub(super) async fn a_folder_is_not_moved_into_itself(world: World) {
    let chain = world.chain("ada", "abcd").await;
    for into in &chain[1..] {
        let moved = world.put(&chain[1], Some(into.id)).await;
        assert!(matches!(moved, Err(StoreError::FolderCycle)));
    }
    world.put(&chain[2], None).await.unwrap();
    world.put(&chain[1], Some(chain[3].id)).await.unwrap();
}

pub(super) async fn of_two_racing_moves_that_make_a_ring_one_is_refused(world: World) {
    for round in 0..20 {
        let a = world.folder("ada", None, &format!("a{round}")).await;
        let b = world.folder("ada", None, &format!("b{round}")).await;
        let results = tokio::join!(world.put(&a, Some(b.id)), world.put(&b, Some(a.id)));
        assert!(
            matches!(
                results,
                (Ok(()), Err(StoreError::FolderCycle)) | (Err(StoreError::FolderCycle), Ok(()))
            ),
            "{results:?}"
        );
    }
}

pub(super) async fn a_folder_that_holds_something_stays(world: World) {
    let chain = world.chain("ada", "ab").await;
    let held = world.store.delete_folder(chain[0].id, "ada", None, world.stamp()).await;
    assert!(matches!(held, Err(StoreError::FolderNotEmpty)));
    let tree = world.tree("ada", 0, |t| t.content.folder_id = Some(chain[1].id)).await;
    let held = world.store.delete_folder(chain[1].id, "ada", None, world.stamp()).await;
    assert!(matches!(held, Err(StoreError::FolderNotEmpty)));
    world.delete(&tree, 1).await;
    for folder in chain.iter().rev() {
        world
            .store
            .delete_folder(folder.id, "ada", Some(&folder.etag), world.stamp())
            .await
            .unwrap();
    }
    let again = world.store.delete_folder(chain[0].id, "ada", None, world.stamp()).await;
    assert!(matches!(again, Err(StoreError::FolderNotFound)));
}

pub(super) async fn folders_are_listed_by_position_and_name(world: World) {
    let mut expected = Vec::new();
    for i in 0..12 {
        let mut folder = world.a_folder("ada", None, &format!("f{i}"));
        folder.content.position = i % 4 - 2;
        world.store.insert_folder(&folder, MOST).await.unwrap();
        expected.push((folder.content.position, folder.content.name));
    }
    expected.sort();
    let (mut found, mut after): (Vec<(i32, String)>, _) = (Vec::new(), None);
    loop {
        let page = world.store.folders("ada", None, after.as_ref(), 5).await.unwrap();
        found.extend(page.into_iter().map(|f| (f.content.position, f.content.name)));
        let next = found.last().cloned().map(|(position, name)| FolderKey { position, name });
        if next == after {
            break;
        }
        after = next;
        let first = world.store.folders("ada", None, None, 1).await.unwrap().remove(0);
        world.folder("ada", Some(first.id), &format!("{after:?}")).await;
    }
    assert_eq!(found, expected);
}

pub(super) async fn categories_have_their_own_slugs(world: World) {
    for (slug, position) in [("c", 1), ("b", 1), ("a", 2), ("d", 0)] {
        world.category(slug, position).await.unwrap();
    }
    assert!(matches!(world.category("a", 9).await, Err(StoreError::CategorySlugTaken)));
    let (mut found, mut after) = (Vec::new(), None);
    while let Some(next) = world.store.categories(after.as_ref(), 1).await.unwrap().pop() {
        after = Some(CategoryKey {
            position: next.content.position,
            name: next.content.name.clone(),
            id: next.id,
        });
        found.push(next);
        assert!(found.len() < 100, "the list does not come to an end");
    }
    let slugs: Vec<_> = found.iter().map(|category| category.content.slug.as_str()).collect();
    assert_eq!(slugs, ["d", "b", "c", "a"]);
    let mut other = found.remove(0);
    other.content.slug = "a".into();
    let written = world.store.update_category(&other, &other.etag).await;
    assert!(matches!(written, Err(StoreError::CategorySlugTaken)));
}

pub(super) async fn a_category_in_use_stays(world: World) {
    let category = world.category("c", 0).await.unwrap();
    let tree = world.tree("ada", 0, |t| t.content.category_id = Some(category.id)).await;
    let held = world.store.delete_category(category.id, None, world.stamp()).await;
    assert!(matches!(held, Err(StoreError::CategoryInUse)));
    let edit = Edit { category_id: Some(None), ..Edit::default() };
    let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(1));
    world.write(&tree, edit).await.unwrap();
    world.store.delete_category(category.id, Some(&category.etag), world.stamp()).await.unwrap();
    for result in [
        world.store.delete_category(category.id, None, world.stamp()).await,
        world.store.category(category.id).await.map(drop),
        world.store.update_category(&category, &category.etag).await,
    ] {
        assert!(matches!(result, Err(StoreError::CategoryNotFound)));
    }
}

pub(super) async fn the_page_token_key_is_made_once(world: World) {
    assert_eq!(world.store.page_token_key([1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(world.store.page_token_key([2; 32]).await.unwrap(), [1; 32]);
}

pub(super) async fn a_closed_store_is_unavailable(world: World) {
    world.store.close().await;
    let read = world.store.categories(None, 1).await.map(drop);
    let written = world.category("c", 0).await.map(drop);
    for result in [read, written] {
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
}
