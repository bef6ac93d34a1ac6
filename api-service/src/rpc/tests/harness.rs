//! A server on a port of its own, and callers.

use std::{path::Path, sync::Arc, time::Duration};

use client_sdk::guard::{FetchError, FetchFuture, Guard, KeyCache, KeySource, Keys, Kind};
use evergreen_proto::api::v1::{self as pb, api_service_client::ApiServiceClient};
use token::{
    AccessClaims, SigningKey,
    clock::{Clock as _, ManualClock, Timestamp},
    entropy::SeededEntropy,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{
    Code, Request, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;
use transport::{observe::LogObserver, serve::ServeError, service::Service as _};

use crate::{Config, MemoryDatabase, Server};

pub(super) const EDITOR: &[&str] = &["editor"];
pub(super) const VIEWER: &[&str] = &["viewer"];
pub(super) const ADMIN: &[&str] = &["admin"];

/// Publishes the test's key, or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum TestKeys {
    Up,
    Down,
}

impl KeySource for TestKeys {
    fn fetch(&self) -> FetchFuture<'_> {
        Box::pin(async move {
            match self {
                Self::Up => {
                    let keys = [key().public().clone()].into_iter().collect();
                    Ok(Keys { keys, max_age: Duration::from_secs(300) })
                }
                Self::Down => Err(FetchError::Unreachable("down".into())),
            }
        })
    }
}

fn key() -> SigningKey {
    SigningKey::generate(&SeededEntropy::new(42))
}

fn a_guard(keys: TestKeys, clock: Arc<ManualClock>) -> Guard {
    Guard::new("evergreen", "evergreen", KeyCache::new(keys, clock))
}

fn a_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)))
}

pub(super) struct World {
    pub(super) channel: Channel,
    pub(super) clock: Arc<ManualClock>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), ServeError>>,
    _dir: Option<tempfile::TempDir>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(TestKeys::Up, async |_| {}).await
    }

    /// `before` is given the server before it serves.
    pub(super) async fn with(keys: TestKeys, before: impl AsyncFnOnce(&Server)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Self::on(&dir.path().join("data"), 1, keys, before).await;
        Self { _dir: Some(dir), ..world }
    }

    /// A server on a directory that outlives it, whose ids and etags `seed` decides.
    pub(super) async fn on(
        data_dir: &Path,
        seed: u64,
        keys: TestKeys,
        before: impl AsyncFnOnce(&Server),
    ) -> Self {
        let config = Config { data_dir: data_dir.into(), ..Config::default() };
        let clock = a_clock();
        let entropy = Arc::new(SeededEntropy::new(seed));
        let guard = a_guard(keys, clock.clone());
        let server =
            Server::open_with_guard(config, clock.clone(), entropy, Arc::new(LogObserver), guard)
                .await
                .unwrap();
        before(&server).await;
        Self::serve(server, clock).await
    }

    /// A server in memory, whose ids and etags `seed` decides.
    pub(super) async fn in_memory(memory: &MemoryDatabase, seed: u64) -> Self {
        let (config, clock) = (Config::default(), a_clock());
        let (entropy, observer) = (Arc::new(SeededEntropy::new(seed)), Arc::new(LogObserver));
        let guard = a_guard(TestKeys::Up, clock.clone());
        let opened =
            Server::open_in_memory(memory, config, clock.clone(), entropy, observer, guard);
        Self::serve(opened.await.unwrap(), clock).await
    }

    async fn serve(server: Server, clock: Arc<ManualClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.run(listener, async {
            drop(stopped.await);
        }));
        let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
        Self { channel, clock, stop: Some(stop), served, _dir: None }
    }

    pub(super) fn caller(&self, user: &str, roles: &[&str]) -> Caller {
        Caller { channel: self.channel.clone(), token: Some(self.token(user, roles)) }
    }

    pub(super) fn nobody(&self) -> Caller {
        Caller { channel: self.channel.clone(), token: None }
    }

    pub(super) fn bearing(&self, token: &str) -> Caller {
        Caller { channel: self.channel.clone(), token: Some(token.into()) }
    }

    pub(super) fn token(&self, user: &str, roles: &[&str]) -> String {
        let now = self.clock.now().unix_seconds();
        key().sign(&AccessClaims {
            iss: "evergreen".into(),
            aud: "evergreen".into(),
            sub: user.into(),
            client_id: "test".into(),
            sid: "session".into(),
            jti: "1".into(),
            iat: now,
            exp: now + 900,
            roles: roles.iter().map(|&role| role.into()).collect(),
            kind: Kind::User,
            roles_version: 0,
        })
    }

    /// Lets time pass, so that what is made later is newer.
    pub(super) fn tick(&self) {
        self.clock.advance(Duration::from_millis(1));
    }

    pub(super) async fn stop(mut self) {
        drop(self.channel);
        self.stop.take().unwrap().send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

/// Somebody who calls.
#[derive(Clone)]
pub(super) struct Caller {
    channel: Channel,
    token: Option<String>,
}

macro_rules! calls {
    ($($method:ident: $request:ident => $response:ident,)*) => {
        impl Caller {
            $(
                pub(super) async fn $method(
                    &self,
                    request: pb::$request,
                ) -> Result<pb::$response, Status> {
                    let mut client = ApiServiceClient::new(self.channel.clone())
                        .max_encoding_message_size(usize::MAX)
                        .max_decoding_message_size(usize::MAX);
                    Ok(client.$method(self.request(request)).await?.into_inner())
                }
            )*
        }
    };
}

calls! {
    create_category: CreateCategoryRequest => CreateCategoryResponse,
    create_folder: CreateFolderRequest => CreateFolderResponse,
    create_tree: CreateTreeRequest => CreateTreeResponse,
    delete_category: DeleteCategoryRequest => DeleteCategoryResponse,
    delete_folder: DeleteFolderRequest => DeleteFolderResponse,
    delete_tree: DeleteTreeRequest => DeleteTreeResponse,
    get_category: GetCategoryRequest => GetCategoryResponse,
    get_folder_subtree: GetFolderSubtreeRequest => GetFolderSubtreeResponse,
    get_folder: GetFolderRequest => GetFolderResponse,
    get_tree_revision: GetTreeRevisionRequest => GetTreeRevisionResponse,
    get_tree: GetTreeRequest => GetTreeResponse,
    list_categories: ListCategoriesRequest => ListCategoriesResponse,
    list_deleted_trees: ListDeletedTreesRequest => ListDeletedTreesResponse,
    list_folders: ListFoldersRequest => ListFoldersResponse,
    list_tree_revisions: ListTreeRevisionsRequest => ListTreeRevisionsResponse,
    list_trees: ListTreesRequest => ListTreesResponse,
    move_folder: MoveFolderRequest => MoveFolderResponse,
    rollback_tree: RollbackTreeRequest => RollbackTreeResponse,
    undelete_tree: UndeleteTreeRequest => UndeleteTreeResponse,
    search_trees: SearchTreesRequest => SearchTreesResponse,
    update_category: UpdateCategoryRequest => UpdateCategoryResponse,
    update_folder: UpdateFolderRequest => UpdateFolderResponse,
    update_tree: UpdateTreeRequest => UpdateTreeResponse,
}

impl Caller {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    pub(super) async fn watch(
        &self,
        cursor: &str,
    ) -> Result<Streaming<pb::WatchChangesResponse>, Status> {
        let mut client = ApiServiceClient::new(self.channel.clone());
        let request = self.request(pb::WatchChangesRequest { cursor: cursor.into() });
        Ok(client.watch_changes(request).await?.into_inner())
    }

    pub(super) async fn export(
        &self,
        request: pb::ExportTreesRequest,
    ) -> Result<Streaming<pb::ExportTreesResponse>, Status> {
        let mut client = ApiServiceClient::new(self.channel.clone());
        Ok(client.export_trees(self.request(request)).await?.into_inner())
    }

    pub(super) async fn import(
        &self,
        key: Option<&str>,
        trees: impl Stream<Item = pb::Tree> + Send + 'static,
    ) -> Result<pb::ImportTreesResponse, Status> {
        let mut client = ApiServiceClient::new(self.channel.clone());
        let messages = trees.map(|tree| pb::ImportTreesRequest { tree: Some(tree) });
        let mut request = self.request(messages);
        if let Some(key) = key {
            request.metadata_mut().insert("idempotency-key", key.parse().unwrap());
        }
        Ok(client.import_trees(request).await?.into_inner())
    }

    /// Any method, with an empty message.
    pub(super) async fn empty(&self, method: &str) -> Status {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let path = format!("/evergreen.api.v1.ApiService/{method}").parse().unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        client.unary(self.request(()), path, codec).await.map(drop).unwrap_err()
    }

    pub(super) async fn tree(&self, title: &str, change: impl FnOnce(&mut pb::Tree)) -> pb::Tree {
        let mut tree = pb::Tree { title: title.into(), ..Default::default() };
        change(&mut tree);
        let request = pb::CreateTreeRequest { tree: Some(tree) };
        self.create_tree(request).await.unwrap().tree.unwrap()
    }

    pub(super) async fn folder(&self, name: &str, parent: &str) -> pb::Folder {
        let folder =
            pb::Folder { name: name.into(), parent_id: parent.into(), ..Default::default() };
        let request = pb::CreateFolderRequest { folder: Some(folder) };
        self.create_folder(request).await.unwrap().folder.unwrap()
    }

    pub(super) async fn category(&self, name: &str) -> pb::Category {
        let category = pb::Category { name: name.into(), ..Default::default() };
        let request = pb::CreateCategoryRequest { category: Some(category) };
        self.create_category(request).await.unwrap().category.unwrap()
    }
}

/// The code and evergreen reason of a refusal.
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    said(&result.unwrap_err())
}

pub(super) fn said(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{status:?}"));
    assert_eq!(info.domain, "evergreen", "{status:?}");
    (status.code(), info.reason)
}

/// The field that a refusal names.
pub(super) fn field<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    let status = result.unwrap_err();
    assert_eq!(said(&status), (Code::InvalidArgument, "FIELD_INVALID".into()), "{status:?}");
    let mut bad = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(bad.len(), 1);
    assert!(!bad[0].description.is_empty());
    bad.remove(0).field
}
