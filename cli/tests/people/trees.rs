//! Trees by command.

use std::time::Duration;

use serde_json::json;

use crate::harness::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn trees_are_made_listed_shown_and_deleted() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    assert_eq!(ada.run(&["trees", "list"]).await.ok(), "");
    ada.run(&["folders", "new", "IT"]).await.ok();
    let made = ada
        .json(&[
            "trees",
            "new",
            "Printer does not print",
            "--folder",
            "/IT",
            "--tag",
            "printer",
            "--tag",
            "office",
            "--visibility",
            "shared",
            "--status",
            "published",
        ])
        .await;
    let expected = json!({
        "treeId": made["treeId"],
        "title": "Printer does not print",
        "description": "",
        "categoryId": "",
        "folderId": made["folderId"],
        "status": "TREE_STATUS_PUBLISHED",
        "visibility": "TREE_VISIBILITY_SHARED",
        "tags": ["printer", "office"],
        "nodes": [],
        "etag": made["etag"],
        "createTime": made["createTime"],
        "updateTime": made["updateTime"],
        "ownerId": made["ownerId"],
        "revision": "1",
        "nodeCount": 0,
        "deleteTime": null,
        "purgeTime": null,
    });
    assert_eq!(made, expected);
    pair.clock.advance(Duration::from_secs(1));
    ada.run(&["trees", "new", "VPN is slow"]).await.ok();

    let mut listed = ada.json(&["trees", "list"]).await;
    assert_eq!(listed["trees"][0]["title"], "VPN is slow", "newest first");
    assert_eq!(listed["trees"][0].get("nodes"), None);
    listed["trees"][1]["nodes"] = json!([]);
    assert_eq!(listed["trees"][1], made);
    for (filter, count) in [
        (&["--folder", "IT"][..], 1),
        (&["--status", "published"], 1),
        (&["--status", "archived"], 0),
        (&["--mine"], 2),
        (&["--limit", "1"], 1),
    ] {
        let listed = ada.json(&[&["trees", "list"], filter].concat()).await;
        assert_eq!(listed["trees"].as_array().unwrap().len(), count, "{filter:?}");
    }
    let table = ada.run(&["trees", "list"]).await.ok();
    let cells: Vec<_> = table.lines().nth(2).unwrap().split("  ").map(str::trim).collect();
    let cells: Vec<_> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells[1..5], ["Printer does not print", "published", "shared", "/IT"]);

    // By id, by the beginning of it, by title.
    let id = made["treeId"].as_str().unwrap();
    let short = table.lines().nth(2).unwrap().split(' ').next().unwrap();
    assert!(short.len() < id.len());
    for name in [id, short, "Printer does not print", "printer DOES not print"] {
        assert_eq!(ada.json(&["trees", "show", name]).await, made, "{name}");
    }
    ada.run(&["trees", "new", "VPN is slow"]).await.ok();
    let said = ada.run(&["trees", "show", "VPN is slow"]).await.fails(8);
    assert_eq!(said.matches("  VPN is slow").count(), 2, "{said}");
    ada.run(&["trees", "show", "nothing"]).await.fails(4);

    ada.run(&["trees", "rm", short]).await.ok();
    ada.run(&["trees", "show", "Printer does not print"]).await.fails(4);
    let shown = ada.run(&["trees", "show", id]).await.ok();
    assert!(shown.contains(" · DELETED 20"), "its owner still finds it by its id: {shown}");
    // Nothing is deleted where a name is not understood.
    ada.run(&["trees", "rm", "nothing", "VPN is slow"]).await.fails(4);
    assert_eq!(ada.json(&["trees", "list"]).await["trees"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_cannot_play_with_the_terminal() {
    let pair = Pair::start().await;
    let (ada, eve) = (pair.user("ada").await, pair.user("eve").await);
    let nasty = "\u{202e}gnp.exe \u{2066}";
    eve.run(&["trees", "new", nasty, "--visibility", "shared"]).await.ok();
    for args in [&["trees", "list"][..], &["trees", "show", nasty], &["trees", "list", "--json"]] {
        let out = ada.run(args).await.ok();
        assert!(!out.contains(['\u{202e}', '\u{2066}']), "{args:?}: {out:?}");
    }
    let listed = ada.json(&["trees", "list"]).await;
    assert_eq!(listed["trees"][0]["title"], nasty, "JSON says all the same what it is");
}
