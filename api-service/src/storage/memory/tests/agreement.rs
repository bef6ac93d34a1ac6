//! SQLite and memory, asked the same things, say the same.

use std::{collections::BTreeSet, time::Duration};

use token::{
    clock::Timestamp,
    entropy::{Entropy, SeededEntropy},
};

use super::{MemoryDatabase, MemoryStore};
use crate::{
    domain::{
        category::{self, Category},
        etag::Etag,
        folder::{self, Folder},
        id::{CategoryId, FolderId, TreeId},
        node::{Node, NodeKind, Nodes},
        tree::{self, Status, Tree, Visibility},
    },
    storage::{
        CategoryKey, CategoryStore as _, FolderKey, FolderStore as _, TreeFilter, TreeKey,
        TreeStore as _, sqlite::SqliteStore,
    },
};

const SEEDS: u64 = 4;
const STEPS: usize = 400;

#[tokio::test]
async fn sqlite_and_memory_say_the_same() {
    let mut refusals = BTreeSet::new();
    for seed in 0..SEEDS {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = SqliteStore::open(&dir.path().join("api.db")).await.unwrap();
        let memory = MemoryStore::open(&MemoryDatabase::default());
        let mut script = Script::new(seed);
        for step in 0..STEPS {
            // Evaluates its arguments twice: they must draw nothing.
            macro_rules! both {
                ($method:ident($($argument:expr),*)) => {{
                    let expected = sqlite.$method($($argument),*).await;
                    let said = memory.$method($($argument),*).await;
                    let when = format!("seed {seed}, step {step}, {}", stringify!($method));
                    assert_eq!(format!("{said:?}"), format!("{expected:?}"), "{when}");
                    if let Err(refusal) = &expected {
                        refusals.insert(format!("{refusal:?}"));
                    }
                    expected.ok()
                }};
            }
            match script.below(16) {
                0 => {
                    let category = script.category();
                    if both!(insert_category(&category)).is_some() {
                        script.categories.push(category.id);
                    }
                }
                1 | 2 => {
                    let mut next = script.category();
                    next.id = script.a_category();
                    let current = both!(category(next.id));
                    let seen = script.seen(current.map(|current| current.etag));
                    both!(update_category(&next, &seen));
                }
                3 => {
                    let id = script.a_category();
                    let current = both!(category(id));
                    let seen = script.seen(current.map(|current| current.etag));
                    let seen = script.chance().then_some(&seen);
                    both!(delete_category(id, seen));
                }
                4 | 5 => {
                    let folder = script.folder();
                    if both!(insert_folder(&folder)).is_some() {
                        script.folders.push(folder.id);
                    }
                }
                6 | 7 => {
                    let mut next = script.folder();
                    next.id = script.a_folder();
                    let current = both!(folder(next.id, &next.owner_id));
                    let seen = script.seen(current.map(|current| current.etag));
                    both!(update_folder(&next, &seen));
                }
                8 => {
                    let (id, owner) = (script.a_folder(), script.owner());
                    let current = both!(folder(id, &owner));
                    let seen = script.seen(current.map(|current| current.etag));
                    let seen = script.chance().then_some(&seen);
                    both!(delete_folder(id, &owner, seen));
                }
                9 | 10 => {
                    let tree = script.tree();
                    if both!(insert_tree(&tree)).is_some() {
                        script.trees.push(tree.id);
                    }
                }
                11 | 12 => {
                    let mut next = script.tree();
                    next.id = script.a_tree();
                    let current = both!(tree(next.id, &next.owner_id));
                    let seen = script.seen(current.map(|current| current.etag));
                    both!(update_tree(&next, &seen));
                }
                13 => {
                    let (id, owner) = (script.a_tree(), script.owner());
                    let current = both!(tree(id, &owner));
                    let seen = script.seen(current.map(|current| current.etag));
                    let seen = script.chance().then_some(&seen);
                    both!(delete_tree(id, &owner, seen));
                }
                // Reads are cheap, and there are many lists.
                _ => {
                    for _ in 0..6 {
                        let limit = i64::from(script.position());
                        let (position, name, id) =
                            (script.position(), script.name(), script.a_category());
                        let after = CategoryKey { position, name: name.clone(), id };
                        let after = script.chance().then_some(&after);
                        both!(categories(after, limit));
                        let after = FolderKey { position, name };
                        let (owner, parent) = (script.owner(), script.chance());
                        let parent = parent.then(|| script.a_folder());
                        let after = script.chance().then_some(&after);
                        both!(folders(&owner, parent, after, limit));
                        let after = TreeKey { created_at: script.instant(), id: script.a_tree() };
                        let filter = script.filter();
                        let after = script.chance().then_some(&after);
                        both!(trees(&filter, after, limit));
                    }
                }
            }
        }
    }
    // All but the depth, which the contract reaches.
    let expected = [
        "CategoryInUse",
        "CategoryNotFound",
        "CategorySlugTaken",
        "EtagMismatch",
        "FolderCycle",
        "FolderNameTaken",
        "FolderNotEmpty",
        "FolderNotFound",
        "TreeNotFound",
    ];
    assert!(refusals.iter().eq(expected), "{refusals:?}");
}

/// What to ask for, drawn from so little that things meet.
struct Script {
    entropy: SeededEntropy,
    categories: Vec<CategoryId>,
    folders: Vec<FolderId>,
    trees: Vec<TreeId>,
}

impl Script {
    fn new(seed: u64) -> Self {
        let entropy = SeededEntropy::new(seed);
        // Ids that name nothing, so that there is always one to ask for.
        let now = Timestamp::UNIX_EPOCH;
        let categories = vec![CategoryId::new(now, &entropy)];
        let folders = vec![FolderId::new(now, &entropy)];
        let trees = vec![TreeId::new(now, &entropy)];
        Self { entropy, categories, folders, trees }
    }

    fn below(&self, bound: usize) -> usize {
        let entropy: &dyn Entropy = &self.entropy;
        usize::from(u16::from_le_bytes(entropy.array())) % bound
    }

    fn chance(&self) -> bool {
        self.below(2) == 0
    }

    /// One of the latest, which are likely to be there still.
    fn latest<T: Copy>(&self, ids: &[T]) -> T {
        ids[ids.len() - 1 - self.below(ids.len().min(6))]
    }

    fn a_category(&self) -> CategoryId {
        self.latest(&self.categories)
    }

    fn a_folder(&self) -> FolderId {
        self.latest(&self.folders)
    }

    fn a_tree(&self) -> TreeId {
        self.latest(&self.trees)
    }

    fn owner(&self) -> String {
        ["ada", "ada", "ada", "bob"][self.below(4)].into()
    }

    fn name(&self) -> String {
        ["a", "A", "aa", "b", "ä", "🌲"][self.below(6)].into()
    }

    /// From -1 on: as a limit, none at all, nothing, and few.
    fn position(&self) -> i32 {
        [-1, 0, 1, 2, 5][self.below(5)]
    }

    fn instant(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_millis(self.below(4) as u64)
    }

    /// Mostly the current one.
    fn seen(&self, current: Option<Etag>) -> Etag {
        current.filter(|_| self.below(4) > 0).unwrap_or_else(|| Etag("stale".into()))
    }

    fn category(&self) -> Category {
        Category {
            id: CategoryId::new(self.instant(), &self.entropy),
            content: category::Content {
                name: self.name(),
                slug: self.name(),
                description: self.name(),
                position: self.position(),
            },
            etag: Etag::new(&self.entropy),
            created_at: self.instant(),
            updated_at: self.instant(),
        }
    }

    fn folder(&self) -> Folder {
        Folder {
            id: FolderId::new(self.instant(), &self.entropy),
            owner_id: self.owner(),
            content: folder::Content {
                parent_id: (self.below(4) > 0).then(|| self.a_folder()),
                name: self.name(),
                position: self.position(),
            },
            etag: Etag::new(&self.entropy),
            created_at: self.instant(),
            updated_at: self.instant(),
        }
    }

    fn tree(&self) -> Tree {
        let node = |n: usize| Node {
            node_id: n.to_string(),
            parent_id: (n > 0).then(|| "0".into()),
            kind: NodeKind::Action,
            title: self.name(),
            body: String::new(),
            position: self.position(),
        };
        Tree {
            id: TreeId::new(self.instant(), &self.entropy),
            owner_id: self.owner(),
            content: tree::Content {
                title: self.name(),
                description: self.name(),
                category_id: self.chance().then(|| self.a_category()),
                folder_id: self.chance().then(|| self.a_folder()),
                status: self.status(),
                visibility: [Visibility::Private, Visibility::Shared][self.below(2)],
                tags: (0..self.below(3)).map(|_| self.name()).collect(),
                nodes: Nodes::parse("", (0..self.below(3)).map(node).collect()).unwrap(),
            },
            etag: Etag::new(&self.entropy),
            created_at: self.instant(),
            updated_at: self.instant(),
        }
    }

    fn status(&self) -> Status {
        [Status::Archived, Status::Draft, Status::Published][self.below(3)]
    }

    fn filter(&self) -> TreeFilter {
        TreeFilter {
            reader: ["ada", "bob"][self.below(2)].into(),
            category_id: (self.below(3) == 0).then(|| self.a_category()),
            folder_id: (self.below(3) == 0).then(|| self.a_folder()),
            status: (self.below(3) == 0).then(|| self.status()),
        }
    }
}
