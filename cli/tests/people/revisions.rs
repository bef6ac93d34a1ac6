//! What trees read before, and trees that were deleted.

use serde_json::json;

use crate::harness::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_goes_back_to_what_it_read_before() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let outline = |title: &str| format!("---\ntitle: {title}\n---\n\n- = Done {{#done}}\n");
    ada.feed(&["trees", "new", "--from", "-"], &outline("First")).await.ok();
    ada.feed(&["trees", "edit", "First", "--from", "-"], &outline("Second")).await.ok();
    let said = ada.feed(&["trees", "edit", "Second", "--from", "-"], &outline("Third")).await.ok();
    assert_eq!(said, "Changed “Third”: revision 3.\n");
    // What is filed elsewhere reads as before.
    ada.run(&["folders", "new", "IT"]).await.ok();
    ada.run(&["trees", "mv", "Third", "IT"]).await.ok();

    let history = ada.json(&["trees", "history", "Third"]).await;
    let told = history["revisions"].as_array().unwrap();
    let told: Vec<_> =
        told.iter().map(|r| (&r["revision"], &r["title"], &r["nodeCount"])).collect();
    let (one, titles) = (json!(1), ["Third", "Second", "First"].map(|title| json!(title)));
    let numbers = ["3", "2", "1"].map(|number| json!(number));
    assert_eq!(told, [0, 1, 2].map(|i| (&numbers[i], &titles[i], &one)));
    let table = ada.run(&["trees", "history", "Third"]).await.ok();
    assert!(table.starts_with("REVISION  WRITTEN"), "{table}");
    let second = ada.json(&["trees", "show", "Third", "--revision", "2"]).await;
    assert_eq!((&second["title"], &second["nodes"][0]["nodeId"]), (&titles[1], &json!("done")));
    ada.run(&["trees", "show", "Third", "--revision", "9"]).await.fails(4);

    let said = ada.run(&["trees", "rollback", "Third", "1"]).await.ok();
    assert_eq!(said, "“First” reads as in revision 1 again, which is now revision 4.\n");
    let said = ada.run(&["trees", "rollback", "First", "77"]).await.fails(4);
    assert!(said.contains("`evergreen trees history TREE`"), "{said}");
    assert_ne!(ada.json(&["trees", "show", "First"]).await["folderId"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tree_is_restored() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    ada.run(&["trees", "new", "Gone"]).await.ok();
    assert_eq!(ada.run(&["trees", "list", "--deleted"]).await.ok(), "");
    let said = ada.run(&["trees", "rm", "Gone"]).await.ok();
    assert!(said.starts_with("Deleted “Gone”. It can be restored until 20"), "{said}");
    ada.run(&["trees", "show", "Gone"]).await.fails(4);
    let deleted = ada.json(&["trees", "list", "--deleted"]).await;
    let id = deleted["trees"][0]["treeId"].as_str().unwrap();
    assert_ne!(deleted["trees"][0]["purgeTime"], json!(null));
    let edited = "---\ntitle: Other\n---\n";
    let said = ada.feed(&["trees", "edit", id, "--from", "-"], edited).await.fails(5);
    assert!(said.contains("Bring it back first"), "{said}");
    let said = ada.run(&["trees", "restore", "Lost"]).await.fails(4);
    assert!(said.contains("`evergreen trees list --deleted`"), "{said}");
    assert_eq!(ada.run(&["trees", "restore", "gone"]).await.ok(), "Restored “Gone”.\n");
    ada.run(&["trees", "restore", id]).await.fails(5);
    assert_eq!(ada.json(&["trees", "show", id]).await["deleteTime"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_goes_with_all_that_is_in_it() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    ada.run(&["folders", "new", "/IT/Printers", "--parents"]).await.ok();
    for folder in ["/IT", "/IT/Printers", "/IT/Printers"] {
        ada.run(&["trees", "new", "Jam", "--folder", folder]).await.ok();
    }
    let drawn = "IT  1 tree\n└─ Printers  2 trees\n";
    assert_eq!(ada.run(&["folders", "tree"]).await.ok(), drawn);
    ada.run(&["folders", "rm", "IT"]).await.fails(5);
    let said = ada.run(&["folders", "rm", "IT", "--force"]).await.ok();
    assert_eq!(said, "Deleted “IT”: 2 folders and 3 trees.\n");
    assert_eq!(ada.run(&["folders", "tree"]).await.ok(), "");
    let deleted = ada.json(&["trees", "list", "--deleted"]).await;
    assert_eq!(deleted["trees"].as_array().unwrap().len(), 3);
}
