//! The shelf by command.

use crate::harness::{PASSWORD, Pair};

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_arranges_the_shelf_and_others_read_it() {
    let pair = Pair::with_admin().await;
    let (root, ada) = (pair.person("root"), pair.user("ada").await);
    root.feed(&["login", "root", "--password-stdin"], PASSWORD).await.ok();
    let denied = ada.run(&["categories", "new", "Printers"]).await.fails(7);
    assert!(denied.contains("`evergreen whoami`"), "{denied}");
    let made = root.run(&["categories", "new", "Printers and scanners"]).await.ok();
    assert_eq!(made, "Created “Printers and scanners”: printers-and-scanners\n");
    root.run(&["categories", "new", "Network", "--slug", "net", "--position", "-1"]).await.ok();
    let taken = root.run(&["categories", "new", "Internet", "--slug", "net"]).await.fails(5);
    assert!(taken.contains("`--slug SLUG`"), "{taken}");
    let edit =
        ["categories", "edit", "net", "--name", "Networks", "--description", "What connects"];
    root.run(&edit).await.ok();
    root.run(&["categories", "edit", "net"]).await.fails(2);

    let wide = ada.clone().with("COLUMNS", "90");
    let table = wide.run(&["categories", "list"]).await.ok();
    let rows: Vec<_> = table.lines().map(|line| line.split_once("  ").unwrap().1.trim()).collect();
    assert_eq!(
        rows,
        [
            "SLUG                   NAME                   DESCRIPTION",
            "net                    Networks               What connects",
            "printers-and-scanners  Printers and scanners",
        ]
    );
    let narrow = ada.clone().with("COLUMNS", "40").run(&["categories", "list"]).await.ok();
    assert!(narrow.contains('…'), "{narrow}");
    let shown = ada.json(&["categories", "show", "networks"]).await;
    assert_eq!(shown["slug"], "net");

    ada.run(&["trees", "new", "No link light", "--category", "net"]).await.ok();
    let said = root.run(&["categories", "rm", "net"]).await.fails(5);
    assert!(said.contains("`--move-trees-to CATEGORY`"), "{said}");
    assert_eq!(
        root.run(&["categories", "rm", "Printers and scanners"]).await.ok(),
        "Deleted “Printers and scanners”.\n"
    );
    root.run(&["categories", "show", "printers-and-scanners"]).await.fails(4);
}
