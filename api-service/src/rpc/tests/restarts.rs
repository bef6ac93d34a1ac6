//! What a server in memory leaves to the next one.

use evergreen_proto::api::v1 as pb;

use super::harness::{EDITOR, World};
use crate::MemoryDatabase;

/// One server's life, in a runtime whose end is a crash: every task ends wherever it is.
fn life<T>(memory: &MemoryDatabase, seed: u64, script: impl AsyncFnOnce(World) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { script(World::in_memory(memory, seed).await).await })
}

#[test]
fn what_was_answered_outlives_a_crash_and_a_shutdown() {
    let memory = MemoryDatabase::default();
    let list = |token: String| pb::ListTreesRequest {
        page_size: 2,
        page_token: token,
        ..Default::default()
    };
    let (mut oldest, token) = life(&memory, 1, async |world| {
        let ada = world.caller("ada", EDITOR);
        let folder = ada.folder("folder", "").await;
        let oldest = ada.tree("oldest", |tree| tree.folder_id = folder.folder_id).await;
        for title in ["newer", "newest"] {
            world.tick();
            ada.tree(title, |_| {}).await;
        }
        let page = ada.list_trees(list(String::new())).await.unwrap();
        let titles: Vec<_> = page.trees.iter().map(|tree| tree.title.as_str()).collect();
        assert_eq!(titles, ["newest", "newer"]);
        (oldest, page.next_page_token)
    });
    // Its page tokens are good and its etags current, and what it wrote can be written again.
    let written = life(&memory, 2, async |world| {
        let ada = world.caller("ada", EDITOR);
        let page = ada.list_trees(list(token)).await.unwrap();
        assert_eq!((page.trees, page.next_page_token), (vec![oldest.clone()], String::new()));
        oldest.title = "written again".into();
        let request = pb::UpdateTreeRequest { tree: Some(oldest), ..Default::default() };
        let written = ada.update_tree(request).await.unwrap().tree.unwrap();
        drop(ada);
        world.stop().await;
        written
    });
    life(&memory, 3, async |world| {
        let request = pb::GetTreeRequest { tree_id: written.tree_id.clone() };
        let read = world.caller("ada", EDITOR).get_tree(request).await.unwrap();
        assert_eq!(read.tree, Some(written));
    });
}
