//! Folders by command.

use serde_json::json;

use crate::harness::Pair;

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_made_moved_renamed_and_deleted() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    assert_eq!(ada.run(&["folders", "tree"]).await.ok(), "");
    ada.run(&["folders", "new", "/IT/Printers/Laser"]).await.fails(4);
    ada.run(&["folders", "new", "/IT/Printers/Laser", "--parents"]).await.ok();
    ada.run(&["folders", "new", "/IT/Network", "-p", "--position", "1"]).await.ok();
    ada.run(&["folders", "new", "Home", "--position", "-1"]).await.ok();
    let again = ada.run(&["folders", "new", "/IT/Network", "--parents"]).await.ok();
    assert!(again.starts_with("/IT/Network is there already: "), "{again}");
    // What is there counts whatever its case, as in every other command.
    let again = ada.run(&["folders", "new", "/it/network", "--parents"]).await.ok();
    assert!(again.starts_with("/it/network is there already: "), "{again}");
    ada.run(&["folders", "new", "/it/printers/Ink", "--parents"]).await.ok();
    ada.run(&["folders", "rm", "/IT/Printers/Ink"]).await.ok();
    let said = ada.run(&["folders", "new", "/IT/Network"]).await.fails(5);
    assert!(said.contains("Choose another name."), "{said}");
    let drawn = "\
Home
IT
├─ Printers
│  └─ Laser
└─ Network
";
    assert_eq!(ada.run(&["folders", "tree"]).await.ok(), drawn);

    ada.run(&["folders", "mv", "/IT/Printers", "/Home"]).await.ok();
    ada.run(&["folders", "rename", "Laser", "Ink \x1b[31m"]).await.fails(8);
    ada.run(&["folders", "rename", "Laser", "Ink"]).await.ok();
    let cycle = ada.run(&["folders", "mv", "/Home", "/Home/Printers/Ink"]).await.fails(5);
    assert!(cycle.contains("inside itself"), "{cycle}");
    let drawn = "\
Home
└─ Printers
   └─ Ink
IT
└─ Network
";
    assert_eq!(ada.run(&["folders", "tree"]).await.ok(), drawn);

    // A path is no name, wherever else it may be.
    ada.run(&["folders", "new", "/Ink/Cartridges"]).await.fails(4);
    assert!(ada.run(&["folders", "mv", "ink", "ink"]).await.fails(5).contains("inside itself"));

    let said = ada.run(&["folders", "rm", "/Home"]).await.fails(5);
    assert!(said.contains("`--force`"), "{said}");
    assert_eq!(ada.run(&["folders", "rm", "/Home/Printers/Ink"]).await.ok(), "Deleted “Ink”.\n");
    ada.run(&["folders", "mv", "/Home/Printers", "/"]).await.ok();
    let top = ada.json(&["folders", "list"]).await;
    let names: Vec<_> = top["folders"].as_array().unwrap().iter().map(|f| &f["name"]).collect();
    assert_eq!(names, ["Home", "IT", "Printers"]);
    let first = &top["folders"][0];
    let expected = json!({
        "folderId": first["folderId"],
        "parentId": "",
        "name": "Home",
        "position": -1,
        "etag": first["etag"],
        "createTime": first["createTime"],
        "updateTime": first["updateTime"],
    });
    assert_eq!(*first, expected);
}
