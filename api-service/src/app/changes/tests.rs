//! Whoever applies what is told has what the lists show.

use std::{collections::BTreeMap, sync::Arc};

use token::{
    clock::{ManualClock, Timestamp},
    entropy::{Entropy, SeededEntropy},
};

use super::*;
use crate::{
    domain::{
        category,
        change::{Resource, ResourceId},
        folder,
        id::{CategoryId, FolderId, TreeId},
        page::{Page, PageRequest, PageSize},
        tree::{Edit, Visibility},
    },
    storage::{
        Store,
        memory::{MemoryDatabase, MemoryStore},
        sqlite::SqliteStore,
    },
};

/// What a client has, by kind and id.
type Copy = BTreeMap<String, Resource>;

fn key(id: ResourceId) -> String {
    format!("{id:?}")
}

fn apply(copy: &mut Copy, told: Told) -> Option<String> {
    match told {
        Told::Created(now) | Told::Updated(now) => {
            let (id, name) = match &now {
                Resource::Category(it) => (ResourceId::Category(it.id), &it.content.slug),
                Resource::Folder(it) => (ResourceId::Folder(it.id), &it.content.name),
                Resource::Tree(it) => (ResourceId::Tree(it.id), &it.content.title),
            };
            let name = name.clone();
            copy.insert(key(id), now);
            Some(name)
        }
        Told::Deleted(id) => {
            copy.remove(&key(id));
            None
        }
    }
}

/// A client that watches, is cut off now and then, and goes on from its cursor.
struct Client {
    caller: Caller,
    copy: Copy,
    cursor: String,
    following: Option<Following>,
}

impl Client {
    async fn new(app: &App, caller: &Caller) -> Self {
        let mut following = app.watch_changes(caller, "").await.unwrap();
        let (told, cursor) = following.next().await.unwrap();
        assert_eq!(told, None);
        let (caller, copy) = (caller.clone(), Copy::new());
        Self { caller, copy, cursor, following: Some(following) }
    }

    /// The next piece that is told; true if it holds `name`.
    async fn step(&mut self, app: &App, name: &str) -> bool {
        let following = match &mut self.following {
            Some(following) => following,
            None => {
                let resumed = app.watch_changes(&self.caller, &self.cursor).await.unwrap();
                self.following.insert(resumed)
            }
        };
        let (told, cursor) = following.next().await.unwrap();
        self.cursor = cursor;
        told.and_then(|told| apply(&mut self.copy, told)).is_some_and(|told| told == name)
    }
}

/// Draws what happens.
struct Script {
    app: App,
    entropy: SeededEntropy,
    trees: Vec<TreeId>,
    folders: Vec<FolderId>,
    categories: Vec<CategoryId>,
    count: usize,
}

impl Script {
    fn below(&self, bound: usize) -> usize {
        let entropy: &dyn Entropy = &self.entropy;
        usize::from(u16::from_le_bytes(entropy.array())) % bound
    }

    fn one_of<T: std::marker::Copy>(&self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len())])
    }

    fn user(&self) -> Caller {
        Caller::new(["ada", "bob"][self.below(2)], ["admin"])
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("n{}", self.count)
    }

    fn edit(&mut self) -> Edit {
        Edit {
            title: Some(self.name()),
            visibility: (self.below(2) == 0)
                .then(|| [Visibility::Private, Visibility::Shared][self.below(2)]),
            category_id: (self.below(3) == 0).then(|| self.one_of(&self.categories)),
            ..Edit::default()
        }
    }

    /// One thing that somebody tries, which may be refused.
    async fn act(&mut self) {
        let (app, user) = (self.app.clone(), self.user());
        let tree = self.one_of(&self.trees);
        let folder = self.one_of(&self.folders);
        let category = self.one_of(&self.categories);
        match (self.below(15), tree, folder, category) {
            (0 | 1, ..) => {
                let edit = self.edit();
                if let Ok(made) = app.create_tree(&user, edit).await {
                    self.trees.push(made.id);
                }
            }
            (2..=4, Some(id), ..) => {
                let edit = self.edit();
                let _ = app.update_tree(&user, id, None, edit).await;
            }
            (5, Some(id), ..) => {
                let _ = app.delete_tree(&user, id, None).await;
            }
            (6, ..) => {
                let content = folder::Content { parent_id: None, name: self.name(), position: 0 };
                if let Ok(made) = app.create_folder(&user, content).await {
                    self.folders.push(made.id);
                }
            }
            (7, _, Some(id), _) => {
                let edit = folder::Edit { name: Some(self.name()), ..Default::default() };
                let _ = app.update_folder(&user, id, None, edit).await;
            }
            (8, _, Some(id), _) => {
                let _ = app.delete_folder(&user, id, None).await;
            }
            (9, ..) => {
                let name = self.name();
                self.categories.push(self.category(&name).await);
            }
            (10, .., Some(id)) => {
                let edit = category::Edit { name: Some(self.name()), ..Default::default() };
                let _ = app.update_category(&user, id, None, edit).await;
            }
            (11, .., Some(id)) => {
                let _ = app.delete_category(&user, id, None).await;
            }
            (12, Some(id), ..) => {
                let _ = app.undelete_tree(&user, id, None).await;
            }
            (13, Some(id), Some(folder), _) => {
                let edit = Edit { folder_id: Some(Some(folder)), ..Edit::default() };
                let _ = app.update_tree(&user, id, None, edit).await;
                let _ = app.delete_subtree(&user, folder, None).await;
            }
            (14, .., Some(id)) => {
                let into = self.one_of(&self.categories).unwrap();
                let _ = app.merge_category(&user, id, None, into).await;
            }
            _ => {}
        }
    }

    async fn category(&self, slug: &str) -> CategoryId {
        let content = category::Content {
            name: slug.into(),
            slug: slug.into(),
            description: String::new(),
            position: 0,
        };
        let made = self.app.create_category(&Caller::new("ada", ["admin"]), content).await;
        made.unwrap().id
    }
}

/// What the lists show.
async fn listed(app: &App, caller: &Caller) -> Copy {
    let page = PageRequest { size: PageSize::parse(500).unwrap(), token: String::new() };
    fn whole<T>(page: Page<T>) -> Vec<T> {
        assert_eq!(page.next_token, "");
        page.items
    }
    let query =
        crate::app::TreeQuery { category_id: None, folder_id: None, status: None, mine: false };
    let trees = whole(app.list_trees(caller, query, &page).await.unwrap());
    let folders = whole(app.list_folders(caller, None, &page).await.unwrap());
    let categories = whole(app.list_categories(caller, &page).await.unwrap());
    let trees = trees.into_iter().map(|it| (key(ResourceId::Tree(it.id)), Resource::Tree(it)));
    let folders =
        folders.into_iter().map(|it| (key(ResourceId::Folder(it.id)), Resource::Folder(it)));
    let categories =
        categories.into_iter().map(|it| (key(ResourceId::Category(it.id)), Resource::Category(it)));
    trees.chain(folders).chain(categories).collect()
}

async fn whoever_applies_what_is_told_has_what_the_lists_show(store: Arc<dyn Store>, seed: u64) {
    println!("seed {seed}");
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
    let app = App::new(store, clock, Arc::new(SeededEntropy::new(seed)), KEPT).await.unwrap();
    let telling = app.clone();
    let telling = tokio::spawn(async move { telling.keep_telling().await });
    let mut script = Script {
        app: app.clone(),
        entropy: SeededEntropy::new(seed + 1_000_000),
        trees: Vec::new(),
        folders: Vec::new(),
        categories: Vec::new(),
        count: 0,
    };
    let mut clients = Vec::new();
    for user in ["ada", "ada", "bob", "eve"] {
        clients.push(Client::new(&app, &Caller::new(user, ["viewer"])).await);
    }
    for _ in 0..60 {
        for _ in 0..script.below(8) {
            script.act().await;
        }
        let client = &mut clients[script.below(4)];
        if script.below(2) == 0 {
            client.following = None;
        } else {
            // What all see, so that there is something to be told whatever was written before.
            let name = script.name();
            script.category(&name).await;
            for _ in 0..1 + script.below(6) {
                if client.step(&app, &name).await {
                    break;
                }
            }
        }
    }
    let end = script.name();
    script.category(&end).await;
    for client in &mut clients {
        while !client.step(&app, &end).await {}
        let listed = listed(&app, &client.caller).await;
        assert!(listed.len() > 10, "there is little to compare");
        assert_eq!(client.copy, listed, "seed {seed}, {}", client.caller.user_id);
    }
    telling.abort();
}

/// `EVERGREEN_SEED` tries one alone.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("EVERGREEN_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (0..count).collect(),
    }
}

#[tokio::test]
async fn in_memory() {
    for seed in seeds(40) {
        let store = MemoryStore::open(&MemoryDatabase::default());
        whoever_applies_what_is_told_has_what_the_lists_show(Arc::new(store), seed).await;
    }
}

#[tokio::test]
async fn on_sqlite() {
    for seed in seeds(4) {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("api.db")).await.unwrap();
        whoever_applies_what_is_told_has_what_the_lists_show(Arc::new(store), seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_hears_from_time_to_time_how_far_it_has_come() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
    let store = MemoryStore::open(&MemoryDatabase::default());
    let app = App::new(Arc::new(store), clock.clone(), Arc::new(SeededEntropy::new(1)), KEPT);
    let app = app.await.unwrap();
    let telling = app.clone();
    let telling = tokio::spawn(async move { telling.keep_telling().await });
    let (ada, bob) = (Caller::new("ada", ["editor"]), Caller::new("bob", ["editor"]));
    let mut following = app.watch_changes(&ada, "").await.unwrap();
    let (_, first) = following.next().await.unwrap();
    let begun = tokio::time::Instant::now();
    let folder = |name: &str| folder::Content { parent_id: None, name: name.into(), position: 0 };
    app.create_folder(&bob, folder("of bob")).await.unwrap();
    let (told, second) = following.next().await.unwrap();
    assert_eq!((told, begun.elapsed().as_secs()), (None, 30));
    // Past what is nothing to the reader.
    assert_ne!(first, second);
    clock.advance(KEPT + Duration::from_secs(1));
    // A quiet week does not cost one one's place, nor does what comes after it.
    app.create_folder(&bob, folder("of bob, later")).await.unwrap();
    assert_eq!(app.trim_changes().await.unwrap(), 1);
    assert!(matches!(app.watch_changes(&ada, &first).await, Err(AppError::CursorExpired)));
    app.watch_changes(&ada, &second).await.unwrap();
    app.create_folder(&ada, folder("of ada")).await.unwrap();
    let (told, _) = following.next().await.unwrap();
    assert!(matches!(told, Some(Told::Created(Resource::Folder(_)))), "{told:?}");
    telling.abort();
}

/// What is heard is bounded, however slow a receiver is.
#[tokio::test]
async fn a_receiver_that_falls_behind_reads_the_log_from_its_place() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
    let store = MemoryStore::open(&MemoryDatabase::default());
    let app =
        App::new(Arc::new(store), clock, Arc::new(SeededEntropy::new(1)), KEPT).await.unwrap();
    let telling = app.clone();
    let telling = tokio::spawn(async move { telling.keep_telling().await });
    let ada = Caller::new("ada", ["editor"]);
    let mut slow = app.watch_changes(&ada, "").await.unwrap();
    slow.next().await.unwrap();
    // Keeps the feed reading while the slow one says nothing.
    let mut quick = app.watch_changes(&ada, "").await.unwrap();
    quick.next().await.unwrap();
    for i in 0..1_000 {
        let content = folder::Content { parent_id: None, name: i.to_string(), position: 0 };
        app.create_folder(&ada, content).await.unwrap();
        while quick.next().await.unwrap().0.is_none() {}
    }
    for i in 0..1_000 {
        let (told, _) = slow.next().await.unwrap();
        assert!(slow.batch.len() <= 100);
        match told {
            Some(Told::Created(Resource::Folder(made))) => {
                assert_eq!(made.content.name, i.to_string());
            }
            other => panic!("{other:?}"),
        }
    }
    telling.abort();
}

#[tokio::test]
async fn what_is_written_before_the_feed_reads_is_told_all_the_same() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
    let store = MemoryStore::open(&MemoryDatabase::default());
    let app =
        App::new(Arc::new(store), clock, Arc::new(SeededEntropy::new(1)), KEPT).await.unwrap();
    let ada = Caller::new("ada", ["editor"]);
    let mut following = app.watch_changes(&ada, "").await.unwrap();
    following.next().await.unwrap();
    let content = folder::Content { parent_id: None, name: "f".into(), position: 0 };
    app.create_folder(&ada, content).await.unwrap();
    let telling = app.clone();
    let telling = tokio::spawn(async move { telling.keep_telling().await });
    let (told, _) = following.next().await.unwrap();
    assert!(matches!(told, Some(Told::Created(Resource::Folder(_)))), "{told:?}");
    telling.abort();
}

/// However a change waited for its receiver: what is told is what there is when it is told.
#[tokio::test(start_paused = true)]
async fn what_waits_to_be_told_is_told_as_it_is_then() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
    let store = MemoryStore::open(&MemoryDatabase::default());
    let app =
        App::new(Arc::new(store), clock, Arc::new(SeededEntropy::new(1)), KEPT).await.unwrap();
    let telling = app.clone();
    let telling = tokio::spawn(async move { telling.keep_telling().await });
    let (ada, bob) = (Caller::new("ada", ["editor"]), Caller::new("bob", ["editor"]));
    let mut hears = app.watch_changes(&ada, "").await.unwrap();
    let (_, cursor) = hears.next().await.unwrap();
    let shared = async |title: &str| {
        let visibility = Some(Visibility::Shared);
        let edit = Edit { title: Some(title.into()), visibility, ..Edit::default() };
        app.create_tree(&bob, edit).await.unwrap().id
    };
    let hide = async |id: TreeId| {
        let edit = Edit { visibility: Some(Visibility::Private), ..Edit::default() };
        app.update_tree(&bob, id, None, edit).await.unwrap();
    };
    let (first, second) = (shared("first").await, shared("second").await);
    // One reads both from the log, and is told of the first one.
    let mut reads = app.watch_changes(&ada, &cursor).await.unwrap();
    reads.next().await.unwrap();
    let (told, _) = reads.next().await.unwrap();
    assert!(matches!(told, Some(Told::Created(Resource::Tree(tree))) if tree.id == first));
    // The other one has heard of both, and comes late.
    tokio::time::advance(Duration::from_secs(3)).await;
    hide(second).await;
    let deleted = Some(Told::Deleted(ResourceId::Tree(second)));
    assert_eq!(reads.next().await.unwrap().0, deleted);
    let (told, _) = hears.next().await.unwrap();
    assert!(matches!(told, Some(Told::Created(Resource::Tree(tree))) if tree.id == first));
    assert_eq!(hears.next().await.unwrap().0, deleted);
    telling.abort();
}
