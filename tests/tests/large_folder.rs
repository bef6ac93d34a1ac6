//! A folder of very many trees is not deleted at once, since nothing else could be written meanwhile.
use evergreen_proto::api::v1::{
    CreateFolderRequest, DeleteFolderRequest, DeleteFolderResponse, DeleteTreeRequest, Folder,
    ImportTreesRequest, ListTreesRequest, Tree,
};
use tests::{World, bearing, reason};
use tonic::Status;

/// What DeleteFolder takes at once.
const MOST: i32 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_deleted_by_force_up_to_ten_thousand_trees_and_no_further() {
    let world = World::start().await;
    let token = world.register("ada").await.access_token;
    let mut api = world.api_client();
    let folder = Some(Folder { name: "large".into(), ..Folder::default() });
    let folder = api.create_folder(bearing(&token, CreateFolderRequest { folder })).await.unwrap();
    let folder_id = folder.into_inner().folder.unwrap().folder_id;
    let tree = Tree { title: "t".into(), folder_id: folder_id.clone(), ..Tree::default() };
    let tree = ImportTreesRequest { tree: Some(tree) };
    let trees = tokio_stream::iter(vec![tree; usize::try_from(MOST + 1).unwrap()]);
    let imported = api.import_trees(bearing(&token, trees)).await.unwrap().into_inner();
    assert_eq!(imported.created_count, MOST + 1);

    let delete = async || -> Result<DeleteFolderResponse, Status> {
        let folder_id = folder_id.clone();
        let request = DeleteFolderRequest { folder_id, force: true, ..Default::default() };
        let answer = world.api_client().delete_folder(bearing(&token, request)).await?;
        Ok(answer.into_inner())
    };
    assert_eq!(reason(delete().await), "FOLDER_TOO_LARGE");
    // What was refused left everything where it is, so this is one of them.
    let request = ListTreesRequest { folder_id: folder_id.clone(), ..Default::default() };
    let listed = api.list_trees(bearing(&token, request)).await.unwrap().into_inner().trees;
    let request = DeleteTreeRequest { tree_id: listed[0].tree_id.clone(), ..Default::default() };
    api.delete_tree(bearing(&token, request)).await.unwrap();

    let deleted = delete().await.unwrap();
    assert_eq!((deleted.deleted_folder_count, deleted.deleted_tree_count), (1, MOST));
}
