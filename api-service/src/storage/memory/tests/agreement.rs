//! SQLite, PostgreSQL and memory, asked the same things, say the same.

use std::{collections::BTreeSet, time::Duration};

use private_postgres::Postgres;
use sqlx::postgres::PgConnectOptions;
use token::{
    clock::Timestamp,
    entropy::{Entropy, SeededEntropy},
};

use super::{MemoryDatabase, MemoryStore};
use crate::{
    domain::{
        category::{self, Category},
        change::Stamp,
        etag::Etag,
        folder::{self, Folder, in_order},
        id::{CategoryId, FolderId, TreeId},
        node::{Node, NodeKind, Nodes},
        revision::Revision,
        search::Query,
        tree::{self, Deletion, Edit, Status, Tree, Visibility},
    },
    storage::{
        CategoryKey, CategoryStore as _, DeletedKey, DeletionStore as _, FolderKey,
        FolderStore as _, MergeStore as _, RevisionStore as _, SearchKey, SearchStore as _,
        SubtreeStore as _, Target, Tier, TreeFilter, TreeKey, TreeStore as _,
        postgres::PostgresStore, sqlite::SqliteStore,
    },
};

const SEEDS: u64 = 4;
const STEPS: usize = 400;

#[tokio::test]
async fn all_backends_say_the_same() {
    let mut refusals = BTreeSet::new();
    for seed in 0..SEEDS {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = SqliteStore::open(&dir.path().join("api.db")).await.unwrap();
        let memory = MemoryStore::open(&MemoryDatabase::default());
        let postgres = postgres(seed).await;
        let mut script = Script::new(seed);
        for step in 0..STEPS {
            // Evaluates its arguments several times: they must draw nothing.
            macro_rules! all {
                ($method:ident($($argument:expr),*) $(, $order:path)?) => {{
                    let expected = sqlite.$method($($argument),*).await$(.map($order))?;
                    let said = memory.$method($($argument),*).await$(.map($order))?;
                    let when = format!("seed {seed}, step {step}, {}", stringify!($method));
                    assert_eq!(format!("{said:?}"), format!("{expected:?}"), "{when}");
                    // There, the numbers of documents have gaps.
                    if let Some(postgres) = &postgres
                        && stringify!($method) != "search"
                    {
                        let said = postgres.$method($($argument),*).await$(.map($order))?;
                        assert_eq!(format!("{said:?}"), format!("{expected:?}"), "{when}");
                    }
                    if let Err(refusal) = &expected {
                        refusals.insert(format!("{refusal:?}"));
                    }
                    expected.ok()
                }};
            }
            match script.below(20) {
                0 => {
                    let category = script.category();
                    if all!(insert_category(&category)).is_some() {
                        script.categories.push(category.id);
                    }
                }
                1 | 2 => {
                    let mut next = script.category();
                    next.id = script.a_category();
                    let current = all!(category(next.id));
                    let seen = script.seen(current.map(|current| current.etag));
                    all!(update_category(&next, &seen));
                }
                3 => {
                    let id = script.a_category();
                    let current = all!(category(id));
                    let seen = script.seen(current.map(|current| current.etag));
                    let seen = script.chance().then_some(&seen);
                    let stamp = script.stamp();
                    all!(delete_category(id, seen, stamp.clone()));
                }
                4 | 5 => {
                    let (folder, most) = (script.folder(), script.folders_at_most());
                    if all!(insert_folder(&folder, most)).is_some() {
                        script.folders.push(folder.id);
                    }
                }
                6 | 7 => {
                    let mut next = script.folder();
                    next.id = script.a_folder();
                    let current = all!(folder(next.id, &next.owner_id));
                    let seen = script.seen(current.map(|current| current.etag));
                    all!(update_folder(&next, &seen));
                }
                8 => {
                    let (id, owner) = (script.a_folder(), script.owner());
                    let current = all!(folder(id, &owner));
                    let seen = script.seen(current.map(|current| current.etag));
                    let seen = script.chance().then_some(&seen);
                    let stamp = script.stamp();
                    all!(delete_folder(id, &owner, seen, stamp.clone()));
                }
                9 | 10 => {
                    let tree = script.tree();
                    if all!(insert_tree(&tree)).is_some() {
                        script.trees.push(tree.id);
                    }
                }
                11..14 => {
                    let (id, owner) = (script.a_tree(), script.owner());
                    // What is not there is written too, and must be refused.
                    let current = all!(tree(id, &owner)).unwrap_or_else(|| {
                        let mut absent = script.tree();
                        (absent.id, absent.owner_id) = (id, owner);
                        absent
                    });
                    let seen = script.seen(Some(current.etag.clone()));
                    let next = script.change(current);
                    all!(update_tree(&next, &seen));
                }
                14 => {
                    let (now, most) = (script.instant(), script.limit());
                    all!(purge(now, most));
                }
                15 => {
                    let (id, owner) = (script.a_folder(), script.owner());
                    let current = all!(folder(id, &owner));
                    let seen = script.seen(current.map(|current| current.etag));
                    let seen = script.chance().then_some(&seen);
                    let (deletion, fresh) = (script.deletion(), Etag::new(&script.entropy));
                    let most = i64::from(script.chance());
                    all!(delete_subtree(id, &owner, seen, deletion, &fresh, most));
                }
                16 => {
                    let (id, into) = (script.a_category(), script.a_category());
                    let current = all!(category(id));
                    let seen = script.seen(current.map(|current| current.etag));
                    let seen = script.chance().then_some(&seen);
                    let (etag, now) = (Etag::new(&script.entropy), script.instant());
                    // No use case merges a category into itself.
                    if id != into {
                        let into = Target { id: into, etag, now };
                        all!(merge_category(id, seen, &into, 1_000));
                    }
                }
                // Reads are cheap, and there are many lists.
                _ => {
                    for _ in 0..6 {
                        let limit = script.limit();
                        let (position, name, id) =
                            (script.position(), script.name(), script.a_category());
                        let after = CategoryKey { position, name: name.clone(), id };
                        let after = script.chance().then_some(&after);
                        all!(categories(after, limit));
                        let after = FolderKey { position, name };
                        let (owner, parent) = (script.owner(), script.chance());
                        let parent = parent.then(|| script.a_folder());
                        let after = script.chance().then_some(&after);
                        all!(folders(&owner, parent, after, limit));
                        let after = TreeKey { created_at: script.instant(), id: script.a_tree() };
                        let filter = script.filter();
                        let after = script.chance().then_some(&after);
                        all!(trees(&filter, after, limit));
                        let deleted_at = script.instant();
                        let after = DeletedKey { deleted_at, id: script.a_tree() };
                        let after = script.chance().then_some(&after);
                        let now = script.instant();
                        all!(deleted_trees(&owner, now, after, limit));
                        let (id, number) = (script.a_tree(), i64::from(script.position()));
                        all!(tree(id, &owner));
                        let top = script.chance().then(|| script.a_folder());
                        all!(subtree(&owner, top), in_order);
                        all!(revision(id, &owner, number));
                        let before = script.chance().then_some(number);
                        all!(revisions(id, &owner, before, limit));
                        let query = script.query();
                        let after = SearchKey {
                            tier: [Tier::Head, Tier::Text][script.below(2)],
                            number: script.below(60) as i64,
                        };
                        let after = script.chance().then_some(&after);
                        all!(search(&filter.reader, &query, after, limit));
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
        "FolderTooLarge",
        "TooManyFolders",
        "TreeNotFound",
    ];
    assert!(refusals.iter().eq(expected), "{refusals:?}");
}

/// A store on a database of its own; `None` where PostgreSQL is not installed.
async fn postgres(seed: u64) -> Option<PostgresStore> {
    let url = Postgres::shared()?.create_database(&format!("agreement_{seed}")).unwrap();
    Some(PostgresStore::open(url.parse::<PgConnectOptions>().unwrap()).await.unwrap())
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

    fn limit(&self) -> i64 {
        [0, 1, 2, 5, 100][self.below(5)]
    }

    fn instant(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_millis(self.below(4) as u64)
    }

    /// Mostly the current one.
    fn seen(&self, current: Option<Etag>) -> Etag {
        current.filter(|_| self.below(4) > 0).unwrap_or_else(|| Etag("stale".into()))
    }

    fn stamp(&self) -> Stamp {
        Stamp::new(self.instant(), &self.entropy)
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
        let (id, etag) = (TreeId::new(self.instant(), &self.entropy), Etag::new(&self.entropy));
        let content = tree::Content {
            title: self.name(),
            description: self.name(),
            category_id: self.chance().then(|| self.a_category()),
            folder_id: self.chance().then(|| self.a_folder()),
            status: self.status(),
            visibility: [Visibility::Private, Visibility::Shared][self.below(2)],
            tags: (0..self.below(3)).map(|_| self.name()).collect(),
            nodes: Nodes::parse("", (0..self.below(3)).map(node).collect()).unwrap(),
        };
        Tree::new(id, self.owner(), content, etag, self.instant())
    }

    /// What may become of a tree; some of it no use case would write.
    fn change(&self, tree: Tree) -> Tree {
        let (etag, now) = (Etag::new(&self.entropy), self.instant());
        let same = tree.clone();
        let next = match self.below(6) {
            0 => tree.deleted(self.deletion(), etag),
            1 => tree.undeleted(etag, now),
            2 => tree.rolled_back(Revision::of(&self.tree()), etag, now),
            _ => {
                let content = self.tree().content;
                let edit = Edit {
                    title: self.chance().then_some(content.title),
                    category_id: Some(content.category_id),
                    folder_id: Some(content.folder_id),
                    visibility: Some(content.visibility),
                    nodes: self.chance().then_some(content.nodes),
                    ..Edit::default()
                };
                tree.edited(edit, etag, now)
            }
        };
        next.unwrap_or(same)
    }

    fn deletion(&self) -> Deletion {
        Deletion::new(self.instant(), Duration::from_millis(self.below(4) as u64))
    }

    /// Mostly more than there are.
    fn folders_at_most(&self) -> i64 {
        if self.below(8) == 0 { 2 } else { folder::MOST }
    }

    fn query(&self) -> Query {
        let words = (0..=self.below(3)).map(|_| ["a", "aa", "b", "Ä"][self.below(4)]);
        Query::parse("", &words.collect::<Vec<_>>().join(" ")).unwrap()
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
            mine: self.chance(),
        }
    }
}
