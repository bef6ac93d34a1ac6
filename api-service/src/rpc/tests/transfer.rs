//! Export and import.

use std::time::Duration;

use evergreen_proto::api::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::harness::{Caller, EDITOR, VIEWER, World, field, refused, said};

const KEY: &str = "0123456789abcdef";

fn trees(titles: &[&str]) -> Vec<pb::Tree> {
    let tree = |&title: &&str| pb::Tree {
        title: title.into(),
        description: format!("about {title}"),
        nodes: vec![pb::TreeNode {
            node_id: "a".into(),
            kind: pb::NodeKind::Action.into(),
            title: "Step".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    titles.iter().map(tree).collect()
}

async fn export(caller: &Caller, folder: &str, after: &str) -> Result<Vec<pb::Tree>, Status> {
    let request = pb::ExportTreesRequest { folder_id: folder.into(), after_tree_id: after.into() };
    let mut stream = caller.export(request).await?;
    let mut trees = Vec::new();
    while let Some(message) = stream.message().await? {
        trees.push(message.tree.unwrap());
    }
    Ok(trees)
}

fn titles(trees: &[pb::Tree]) -> Vec<&str> {
    trees.iter().map(|tree| tree.title.as_str()).collect()
}

/// So many trees created and skipped.
async fn import(
    caller: &Caller,
    key: Option<&str>,
    trees: Vec<pb::Tree>,
) -> Result<(i32, i32), Status> {
    let trees = tokio_stream::iter(trees);
    let answer = caller.import(key, trees).await?;
    Ok((answer.created_count, answer.skipped_count))
}

fn created_count(status: &Status) -> String {
    status.get_details_error_info().unwrap().metadata["created_count"].clone()
}

#[tokio::test]
async fn what_was_exported_can_be_imported() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let top = ada.folder("top", "").await.folder_id;
    let below = ada.folder("below", &top).await.folder_id;
    for (title, folder) in [("a", &String::new()), ("b", &top), ("c", &below), ("d", &below)] {
        let made = trees(&[title]).remove(0);
        ada.tree(title, |t| *t = pb::Tree { folder_id: folder.clone(), ..made }).await;
        world.tick();
    }
    world.caller("bob", EDITOR).tree("of bob", |_| {}).await;
    let all = export(&ada, "", "").await.unwrap();
    assert_eq!(titles(&all), ["a", "b", "c", "d"]);
    assert!(all.iter().all(|tree| tree.nodes.len() == 1));
    assert_eq!(titles(&export(&ada, &top, "").await.unwrap()), ["b", "c", "d"]);
    assert_eq!(titles(&export(&ada, &below, "").await.unwrap()), ["c", "d"]);
    assert_eq!(titles(&export(&ada, "", &all[1].tree_id).await.unwrap()), ["c", "d"]);
    assert_eq!(titles(&export(&ada, &below, &all[0].tree_id).await.unwrap()), ["c", "d"]);
    assert_eq!(import(&ada, None, all.clone()).await.unwrap(), (4, 0));
    let request = pb::DeleteTreeRequest { tree_id: all[0].tree_id.clone(), ..Default::default() };
    ada.delete_tree(request).await.unwrap();
    let mut twice = export(&ada, "", "").await.unwrap();
    assert_eq!(twice.len(), 7);
    twice.sort_by_key(|tree| tree.title.clone());
    let written = |tree: &pb::Tree| {
        let pb::Tree { title, description, folder_id, nodes, .. } = tree.clone();
        (title, description, folder_id, nodes)
    };
    assert_eq!(written(&twice[0]), written(&all[0]));
    for (i, copies) in twice[1..].chunks(2).enumerate() {
        assert_eq!(written(&copies[0]), written(&all[i + 1]));
        assert_eq!(written(&copies[1]), written(&all[i + 1]));
        assert_ne!(copies[0].tree_id, copies[1].tree_id);
    }
}

#[tokio::test]
async fn trees_of_one_instant_keep_the_order_of_their_stream() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    // More than one group of them.
    let names: Vec<_> = (0..250).map(|i| format!("{i:03}")).collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(import(&ada, None, trees(&names)).await.unwrap(), (250, 0));
    assert_eq!(titles(&export(&ada, "", "").await.unwrap()), names);
    let request = pb::ListTreesRequest { page_size: 500, ..Default::default() };
    let listed = ada.list_trees(request).await.unwrap().trees;
    names.reverse();
    assert_eq!(titles(&listed), names);
}

#[tokio::test]
async fn what_cannot_be_exported_is_named() {
    let world = World::new().await;
    let (ada, bob) = (world.caller("ada", EDITOR), world.caller("bob", EDITOR));
    let missing = "018f0000-0000-7000-8000-000000000000";
    let shared = bob.tree("t", |t| t.visibility = pb::TreeVisibility::Shared.into()).await;
    let foreign = bob.folder("f", "").await.folder_id;
    for folder in [missing, &foreign] {
        let answer = refused(export(&ada, folder, "").await);
        assert_eq!(answer, (Code::NotFound, "FOLDER_NOT_FOUND".into()));
    }
    for after in [missing, &shared.tree_id] {
        let answer = refused(export(&ada, "", after).await);
        assert_eq!(answer, (Code::NotFound, "TREE_NOT_FOUND".into()));
    }
    assert_eq!(field(export(&ada, "x", "").await), "folder_id");
    assert_eq!(field(export(&ada, "", "x").await), "after_tree_id");
    let denied = (Code::PermissionDenied, "PERMISSION_DENIED".to_owned());
    assert_eq!(refused(export(&world.caller("ada", &[]), "", "").await), denied);
    assert_eq!(refused(import(&world.caller("ada", VIEWER), None, trees(&["a"])).await), denied);
}

#[tokio::test]
async fn an_import_that_ends_anywhere_goes_on_from_there() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let names: Vec<_> = (0..9).map(|i| i.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for cut in 0..=names.len() {
        let key = format!("{cut:0>16}");
        let before = export(&ada, "", "").await.unwrap().len();
        let part = import(&ada, Some(&key), trees(&names[..cut])).await.unwrap();
        assert_eq!(part, (i32::try_from(cut).unwrap(), 0));
        let rest = import(&ada, Some(&key), trees(&names)).await.unwrap();
        let cut = i32::try_from(cut).unwrap();
        assert_eq!(rest, (9 - cut, cut));
        assert_eq!(import(&ada, Some(&key), trees(&names)).await.unwrap(), (0, 9));
        assert_eq!(export(&ada, "", "").await.unwrap().len(), before + 9);
    }
}

#[tokio::test]
async fn an_import_that_is_torn_off_creates_each_tree_once() {
    let world = World::new().await;
    let names = ["0", "1", "2", "3", "4", "5"];
    for cut in 0..=names.len() {
        let user = format!("user{cut}");
        let ada = world.caller(&user, EDITOR);
        let (send, receive) = mpsc::unbounded_channel();
        for tree in trees(&names[..cut]) {
            send.send(tree).unwrap();
        }
        let torn = ada.clone();
        let torn = tokio::spawn(async move {
            torn.import(Some(KEY), UnboundedReceiverStream::new(receive)).await
        });
        // Until what was sent has arrived, as far as it will; the stream itself does not end.
        while export(&ada, "", "").await.unwrap().len() < cut {}
        torn.abort();
        drop(send);
        // The server may not have noticed yet.
        let (created, skipped) = loop {
            match import(&ada, Some(KEY), trees(&names)).await {
                Err(status) if status.code() == Code::Aborted => {}
                answer => break answer.unwrap(),
            }
        };
        let cut = i32::try_from(cut).unwrap();
        assert_eq!((created, skipped), (6 - cut, cut));
        let all = export(&ada, "", "").await.unwrap();
        let mut all = titles(&all);
        all.sort_unstable();
        assert_eq!(all, names);
    }
}

#[tokio::test]
async fn a_failure_leaves_what_came_before_and_says_how_much() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let good = ["a", "b", "c", "d"];
    let spoilt = |change: fn(&mut pb::Tree)| {
        let mut all = trees(&good);
        change(&mut all[2]);
        all
    };
    let failed = import(&ada, Some(KEY), spoilt(|t| t.title = String::new())).await;
    let status = failed.as_ref().unwrap_err();
    assert_eq!(created_count(status), "2");
    assert_eq!(field(failed), "trees[2].title");
    let failed = import(&ada, Some(KEY), spoilt(|t| t.nodes[0].title = String::new())).await;
    assert_eq!(field(failed), "trees[2].nodes[0].title");
    let missing = |t: &mut pb::Tree| t.folder_id = "018f0000-0000-7000-8000-000000000000".into();
    let status = import(&ada, Some(KEY), spoilt(missing)).await.unwrap_err();
    assert_eq!(said(&status), (Code::NotFound, "FOLDER_NOT_FOUND".into()));
    assert_eq!(created_count(&status), "2");
    // Mended, it goes on.
    assert_eq!(import(&ada, Some(KEY), trees(&good)).await.unwrap(), (2, 2));
    let changed = (Code::FailedPrecondition, "IMPORT_CHANGED".to_owned());
    for other in [&["a", "b", "c", "x"][..], &["b", "a", "c", "d"], &["a", "b"], &[]] {
        let status = import(&ada, Some(KEY), trees(other)).await.unwrap_err();
        assert_eq!((said(&status), created_count(&status).as_str()), (changed.clone(), "4"));
    }
    // Without a key nothing is remembered.
    let status = import(&ada, None, spoilt(missing)).await.unwrap_err();
    assert_eq!(created_count(&status), "2");
    assert_eq!(import(&ada, None, trees(&good)).await.unwrap(), (4, 0));
    assert_eq!(export(&ada, "", "").await.unwrap().len(), 10);
    let bad = (Code::InvalidArgument, "IDEMPOTENCY_KEY_INVALID".to_owned());
    for key in ["short", &"k".repeat(65), "0123456789 abcdef"] {
        assert_eq!(refused(import(&ada, Some(key), trees(&good)).await), bad, "{key}");
    }
    // The key is one's own, and good for seven days.
    let bob = world.caller("bob", EDITOR);
    assert_eq!(import(&bob, Some(KEY), trees(&good)).await.unwrap(), (4, 0));
    world.clock.advance(Duration::from_secs(7 * 24 * 3_600));
    let ada = world.caller("ada", EDITOR);
    assert_eq!(import(&ada, Some(KEY), trees(&["new"])).await.unwrap(), (1, 0));
}

#[tokio::test]
async fn thousands_of_trees_come_in_and_go_out() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let names: Vec<_> = (0..2_500).map(|i| i.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(import(&ada, Some(KEY), trees(&names)).await.unwrap(), (2_500, 0));
    let all = export(&ada, "", "").await.unwrap();
    let mut found: Vec<usize> = all.iter().map(|tree| tree.title.parse().unwrap()).collect();
    found.sort_unstable();
    assert!(found.into_iter().eq(0..2_500));
    // After a break anywhere the rest comes, and nothing twice.
    for cut in [1, 99, 100, 101, 1_234, 2_499, 2_500] {
        let rest = export(&ada, "", &all[cut - 1].tree_id).await.unwrap();
        assert_eq!(titles(&rest), titles(&all[cut..]));
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_imports_and_exports() {
    let world = World::new().await;
    let ada = world.caller("ada", EDITOR);
    let (send, receive) = mpsc::unbounded_channel();
    send.send(trees(&["a"]).remove(0)).unwrap();
    let importing = ada.clone();
    let importing = tokio::spawn(async move {
        importing.import(Some(KEY), UnboundedReceiverStream::new(receive)).await
    });
    while export(&ada, "", "").await.unwrap().is_empty() {}
    drop(ada);
    world.stop().await;
    let status = importing.await.unwrap().unwrap_err();
    assert_eq!(said(&status), (Code::Unavailable, "STORAGE_UNAVAILABLE".into()));
    assert_eq!(created_count(&status), "1");
    drop(send);
}
