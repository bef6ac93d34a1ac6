//! What [`Store`] promises, as tests that every backend passes.

pub(in crate::storage) mod categories;
pub(in crate::storage) mod changes;
pub(in crate::storage) mod deletion;
pub(in crate::storage) mod folders;
pub(in crate::storage) mod merges;
pub(in crate::storage) mod revisions;
pub(in crate::storage) mod search;
pub(in crate::storage) mod subtrees;
pub(in crate::storage) mod transfer;
pub(in crate::storage) mod trees;

use std::{any::Any, sync::Arc, time::Duration};

use token::{
    clock::Timestamp,
    entropy::{Entropy, SeededEntropy},
};

use super::{Store, StoreError, TreeFilter};
use crate::domain::{
    category::{self, Category},
    change::Stamp,
    etag::Etag,
    folder::{self, Folder, MOST},
    id::{CategoryId, FolderId, TreeId},
    node::{Node, NodeKind, Nodes},
    tree::{self, Deletion, Misstate, Tree},
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
            words_that_begin_alike_are_all_found
            what_is_rare_is_found_below_much_that_is_newer
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
        $crate::storage::contract::contract! { $open, trees:
            a_tree_comes_back_as_it_was_written
            what_is_private_is_not_found_by_others
            of_two_writers_who_saw_the_same_tree_one_is_stale
            a_stale_etag_writes_and_deletes_nothing
            references_are_the_owners_own
            trees_are_listed_newest_first_and_once
            trees_are_filtered
        }
        $crate::storage::contract::contract! { $open, folders:
            siblings_have_different_names
            folders_nest_sixteen_deep
            a_folder_is_not_moved_into_itself
            of_two_racing_moves_that_make_a_ring_one_is_refused
            a_folder_that_holds_something_stays
            folders_are_listed_by_position_and_name
        }
        $crate::storage::contract::contract! { $open, categories:
            categories_have_their_own_slugs
            a_category_in_use_stays
        }
        $crate::storage::contract::contract! { $open:
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
