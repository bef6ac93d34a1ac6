//! Several instances of ApiService on one PostgreSQL database: clients may ask any of them.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::time::Duration;

use cli::lab::Running;
use evergreen_proto::api::v1::{
    Change, ChangeKind, CreateFolderRequest, CreateTreeRequest, DeleteTreeRequest, Folder,
    GetTreeRequest, ListTreesRequest, MoveFolderRequest, SearchTreesRequest, Tree,
    UpdateTreeRequest, WatchChangesRequest, WatchChangesResponse, change::Resource,
};
use futures_util::future::join_all;
use tests::{World, api_client_of, bearing, reason};
use tokio::time::timeout;
use tonic::Streaming;

/// Both services on one database, and two instances of ApiService.
struct Pair {
    world: World,
    one: Running,
    other: Running,
    token: String,
}

impl Pair {
    async fn start() -> Option<Self> {
        let world = World::on_postgres().await?;
        let url = world.database().url().unwrap();
        let on_it = |config: &mut api_service::Config| {
            config.database_url = Some(url.as_str().into());
        };
        // They are first on this database, and start at once.
        let (one, other) = tokio::join!(world.another_api(on_it), world.another_api(on_it));
        let token = world.register("ada").await.access_token;
        Some(Self { world, one, other, token })
    }

    async fn create(&self, at: &Running, title: &str) -> Tree {
        let tree = Tree { title: title.into(), ..Tree::default() };
        let request = bearing(&self.token, CreateTreeRequest { tree: Some(tree) });
        api_client_of(at).create_tree(request).await.unwrap().into_inner().tree.unwrap()
    }
}

/// The changes that an instance tells of.
struct Watch {
    stream: Streaming<WatchChangesResponse>,
    /// Where to resume.
    cursor: String,
}

impl Watch {
    async fn start(pair: &Pair, at: &Running, cursor: &str) -> Self {
        let request = bearing(&pair.token, WatchChangesRequest { cursor: cursor.into() });
        let stream = api_client_of(at).watch_changes(request).await.unwrap().into_inner();
        let mut watch = Self { stream, cursor: String::new() };
        let first = watch.message().await;
        assert_eq!(first.change, None);
        watch
    }

    async fn message(&mut self) -> WatchChangesResponse {
        let message = timeout(Duration::from_secs(20), self.stream.message()).await;
        let message = message.expect("something is told in time").unwrap().unwrap();
        self.cursor.clone_from(&message.cursor);
        message
    }

    /// The next change: what became of which tree.
    async fn told(&mut self) -> (ChangeKind, String) {
        loop {
            let Some(Change { kind, resource }) = self.message().await.change else { continue };
            let Some(Resource::Tree(tree)) = resource else { panic!("{resource:?}") };
            return (ChangeKind::try_from(kind).unwrap(), tree.tree_id);
        }
    }
}

#[tokio::test]
async fn what_is_written_through_one_is_watched_through_the_other() {
    let Some(pair) = Pair::start().await else { return };
    let mut watch = Watch::start(&pair, &pair.other, "").await;
    for n in 0..3 {
        let tree = pair.create(&pair.one, &n.to_string()).await;
        assert_eq!(watch.told().await, (ChangeKind::Created, tree.tree_id.clone()));
        let request = bearing(
            &pair.token,
            DeleteTreeRequest { tree_id: tree.tree_id.clone(), ..DeleteTreeRequest::default() },
        );
        api_client_of(&pair.one).delete_tree(request).await.unwrap();
        assert_eq!(watch.told().await, (ChangeKind::Deleted, tree.tree_id));
    }
}

#[tokio::test]
async fn a_stream_of_changes_goes_on_at_the_other_instance() {
    let Some(pair) = Pair::start().await else { return };
    let mut watch = Watch::start(&pair, &pair.one, "").await;
    for n in 0..6 {
        // The writer, the watcher before and the one after are in turn at both.
        let (here, there) =
            if n % 2 == 0 { (&pair.one, &pair.other) } else { (&pair.other, &pair.one) };
        let before = pair.create(here, "told before the break").await;
        assert_eq!(watch.told().await, (ChangeKind::Created, before.tree_id));
        let cursor = std::mem::take(&mut watch.cursor);
        drop(watch);
        let meanwhile = pair.create(here, "told after it").await;
        watch = Watch::start(&pair, there, &cursor).await;
        assert_eq!(watch.told().await, (ChangeKind::Created, meanwhile.tree_id));
    }
}

#[tokio::test]
async fn what_one_instance_writes_the_other_finds_by_its_words() {
    let Some(pair) = Pair::start().await else { return };
    let tree = pair.create(&pair.one, "Réseau lent").await;
    let request = SearchTreesRequest { query: "reseau le".into(), ..SearchTreesRequest::default() };
    let found = api_client_of(&pair.other).search_trees(bearing(&pair.token, request)).await;
    let found = found.unwrap().into_inner().results;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].tree.as_ref().unwrap().tree_id, tree.tree_id);
    assert_eq!(found[0].snippet, "\u{2068}Réseau\u{2069} \u{2068}lent\u{2069}");
}

#[tokio::test]
async fn what_one_instance_writes_the_other_reads() {
    let Some(pair) = Pair::start().await else { return };
    let tree = pair.create(&pair.one, "VPN").await;
    let request = bearing(&pair.token, GetTreeRequest { tree_id: tree.tree_id.clone() });
    let read = api_client_of(&pair.other).get_tree(request).await.unwrap().into_inner();
    assert_eq!(read.tree.unwrap(), tree);
    // AuthService is on the same database, and neither is in the other's way.
    let sessions = pair.world.register("bob").await;
    assert!(!sessions.session_id.is_empty());
}

#[tokio::test]
async fn a_list_goes_on_at_the_other_instance() {
    let Some(pair) = Pair::start().await else { return };
    for n in 0..5 {
        let at = if n % 2 == 0 { &pair.one } else { &pair.other };
        pair.create(at, &n.to_string()).await;
    }
    let (mut titles, mut token) = (Vec::new(), String::new());
    for at in [&pair.one, &pair.other, &pair.one, &pair.other, &pair.one] {
        let list = ListTreesRequest { page_size: 1, page_token: token, ..Default::default() };
        let page = api_client_of(at).list_trees(bearing(&pair.token, list)).await.unwrap();
        let page = page.into_inner();
        titles.extend(page.trees.into_iter().map(|tree| tree.title));
        token = page.next_page_token;
    }
    titles.sort_unstable();
    assert_eq!(titles, ["0", "1", "2", "3", "4"]);
    assert_eq!(token, "");
}

#[tokio::test]
async fn of_twenty_writers_at_two_instances_one_wins() {
    let Some(pair) = Pair::start().await else { return };
    let tree = pair.create(&pair.one, "VPN").await;
    let writes = (0..20).map(async |n| {
        let at = if n % 2 == 0 { &pair.one } else { &pair.other };
        let tree = Some(Tree { title: format!("VPN {n}"), ..tree.clone() });
        let request = UpdateTreeRequest { tree, update_mask: None };
        api_client_of(at).update_tree(bearing(&pair.token, request)).await
    });
    let (won, lost): (Vec<_>, Vec<_>) = join_all(writes).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for lost in lost {
        assert_eq!(reason(lost), "ETAG_MISMATCH");
    }
}

/// Each move is right alone; together they would make a ring that hangs from nothing.
#[tokio::test]
async fn two_instances_never_make_a_ring_of_folders() {
    let Some(pair) = Pair::start().await else { return };
    for round in 0..10 {
        let folder = async |name: String| {
            let folder = Some(Folder { name, ..Folder::default() });
            let request = CreateFolderRequest { folder };
            let made = api_client_of(&pair.one).create_folder(bearing(&pair.token, request)).await;
            made.unwrap().into_inner().folder.unwrap().folder_id
        };
        let (a, b) = (folder(format!("a{round}")).await, folder(format!("b{round}")).await);
        let into = async |at: &Running, folder_id: &str, parent_id: &str| {
            let request = MoveFolderRequest {
                folder_id: folder_id.into(),
                parent_id: parent_id.into(),
                ..MoveFolderRequest::default()
            };
            api_client_of(at).move_folder(bearing(&pair.token, request)).await
        };
        let moves = tokio::join!(into(&pair.one, &a, &b), into(&pair.other, &b, &a));
        match moves {
            (Ok(_), refused @ Err(_)) | (refused @ Err(_), Ok(_)) => {
                assert_eq!(reason(refused), "FOLDER_CYCLE");
            }
            both => panic!("{both:?}"),
        }
    }
}
