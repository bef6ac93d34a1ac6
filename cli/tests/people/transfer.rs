//! Trees to files and back.

use std::time::Duration;

use cli::lab::LossyProxy;
use serde_json::{Value, json};

use crate::harness::{Pair, Person};

/// A file of the user's.
fn file(ada: &Person, name: &str, text: &str) -> String {
    let path = ada.home.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn titles(ada: &Person) -> Vec<Value> {
    let listed = ada.json(&["trees", "list"]).await;
    listed["trees"].as_array().unwrap().iter().map(|tree| tree["title"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_is_imported_by_another() {
    let pair = Pair::start().await;
    let (ada, bob) = (pair.user("ada").await, pair.user("bob").await);
    ada.run(&["folders", "new", "/IT/Printers", "-p"]).await.ok();
    let outline =
        "---\ntitle: Jam\nfolder: /IT/Printers\ntags: a\n---\n\n- = Pull {#pull}\n  Gently.\n";
    ada.feed(&["trees", "new", "--from", "-"], outline).await.ok();
    pair.clock.advance(Duration::from_secs(1));
    ada.run(&["trees", "new", "Slow \u{202e}VPN"]).await.ok();

    let lines = ada.run(&["trees", "export"]).await.ok();
    let exported: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len(), 2);
    assert_eq!(
        (&exported[0]["title"], &exported[1]["title"]),
        (&json!("Jam"), &json!("Slow \u{202e}VPN"))
    );
    assert!(!lines.contains('\u{202e}'));
    let some = ada.run(&["trees", "export", "--folder", "IT"]).await.ok();
    assert_eq!(some.lines().count(), 1);
    let path = ada.home.join("trees.jsonl");
    let path = path.to_str().unwrap();
    let said = ada.run(&["trees", "export", "-o", path]).await.ok();
    assert_eq!(said, format!("Exported 2 trees to {path}.\n"));
    assert_eq!(std::fs::read_to_string(path).unwrap(), lines);

    // Another's folders are not there.
    let said = bob.run(&["trees", "import", path]).await.fails(4);
    assert!(said.contains("`--folder / --category CATEGORY`"), "{said}");
    let said = bob.run(&["trees", "import", path, "--folder", "/"]).await.ok();
    assert_eq!(said, "Created 2 trees.\n");
    let imported = bob.json(&["trees", "show", "Jam"]).await;
    assert_eq!(imported["nodes"], exported[0]["nodes"]);
    let said = bob.run(&["trees", "import", path, "--folder", "/"]).await.ok();
    assert_eq!(
        said,
        "Created 0 trees. 2 trees had been created by an earlier try. To create them once more: \
         `--again`.\n"
    );
    let again = bob.json(&["trees", "import", path, "--folder", "/", "--again"]).await;
    assert_eq!(again, json!({ "createdCount": 2, "skippedCount": 0 }));
    assert_eq!(titles(&bob).await.len(), 4);

    // However the same folder is named.
    bob.run(&["folders", "new", "/Drafts"]).await.ok();
    for (folder, created, skipped) in [("/Drafts", 2, 0), ("drafts", 0, 2)] {
        let said = bob.json(&["trees", "import", path, "--folder", folder]).await;
        assert_eq!(said, json!({ "createdCount": created, "skippedCount": skipped }), "{folder}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_are_exported_as_outlines_that_import_reads() {
    let pair = Pair::start().await;
    let (ada, bob) = (pair.user("ada").await, pair.user("bob").await);
    ada.run(&["folders", "new", "/IT"]).await.ok();
    let outline = "---\ntitle: \"Jam / ../ing: 100%\"\nfolder: /IT\ntags: a, b\n---\n\nWhat it says.\n\n\
                   - ? Is it on? {#on}\n  Look.\n  - = Yes {#yes}\n";
    ada.feed(&["trees", "new", "--from", "-"], outline).await.ok();
    pair.clock.advance(Duration::from_secs(1));
    ada.run(&["trees", "new", "VPN"]).await.ok();
    ada.run(&["trees", "export", "--format", "outline"]).await.fails(2);

    let dir = ada.home.join("outlines");
    let export = ["trees", "export", "--format", "outline", "--output", dir.to_str().unwrap()];
    for _ in 0..2 {
        assert_eq!(ada.json(&export).await, json!({ "exportedCount": 2 }));
    }
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let ids = ada.json(&["trees", "list"]).await;
    let id = |n: usize| ids["trees"][n]["treeId"].as_str().unwrap().to_owned();
    let named = [format!("jam-ing-100-{}.md", id(1)), format!("vpn-{}.md", id(0))];
    assert_eq!(files, named.map(|name| dir.join(name)));

    let printed = ada.run(&["trees", "edit", &id(1), "--print"]).await.ok();
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), printed);
    bob.run(&["trees", "import", files[0].to_str().unwrap(), "--folder", "/"]).await.ok();
    let imported = bob.run(&["trees", "edit", "Jam / ../ing: 100%", "--print"]).await.ok();
    assert_eq!(imported, printed.replace("folder: /IT\n", "folder:\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outline_tells_of_a_folder_that_was_made_during_the_export() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    ada.run(&["trees", "new", "VPN"]).await.ok();
    let proxy = LossyProxy::start(pair.api.address).await.unwrap();
    let behind = ada.clone().with("EVERGREEN_API_URL", &proxy.url());
    let dir = ada.home.join("outlines");
    let export = ["trees", "export", "--format", "outline", "--output", dir.to_str().unwrap()];
    proxy.keep_answers();
    let filing = async {
        pair.api_seen.ended("GetFolderSubtree", 1).await;
        pair.api_seen.ended("ListCategories", 1).await;
        ada.run(&["folders", "new", "/IT"]).await.ok();
        ada.run(&["trees", "mv", "VPN", "/IT"]).await.ok();
        proxy.deliver_answers();
    };
    let (ran, ()) = tokio::join!(behind.run(&export), filing);
    ran.ok();
    let file = std::fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("\nfolder: /IT\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_where_it_stopped() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let line = |title: &str| format!("{{\"title\":\"{title}\"}}\n");
    let good = [line("One"), line("Two"), "\n".to_owned()].concat();
    let bad = file(&ada, "trees.jsonl", &format!("{good}{}{}", line(" "), line("Four")));
    let said = ada.run(&["trees", "import", &bad]).await.fails(8);
    assert!(said.contains("trees[2].title: "), "{said}");
    assert!(said.contains("Created before that: 2."), "{said}");
    assert!(said.contains("It is in line 4 of "), "blank lines count: {said}");
    assert_eq!(titles(&ada).await.len(), 2);
    let mended = file(&ada, "trees.jsonl", &format!("{good}{}{}", line("Three"), line("Four")));
    let said = ada.json(&["trees", "import", &mended]).await;
    assert_eq!(said, json!({ "createdCount": 2, "skippedCount": 2 }));
    let said = ada.json(&["trees", "import", &mended]).await;
    assert_eq!(said, json!({ "createdCount": 0, "skippedCount": 4 }));
    assert_eq!(titles(&ada).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_answer_was_lost_creates_nothing_twice() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let proxy = LossyProxy::start(pair.api.address).await.unwrap();
    let behind = ada.clone().with("EVERGREEN_API_URL", &proxy.url());
    let path = file(&ada, "trees.jsonl", "{\"title\":\"One\"}\n{\"title\":\"Two\"}\n");
    proxy.lose_answers();
    let args = ["trees", "import", &path];
    let cut = async {
        pair.api_seen.ended("ImportTrees", 1).await;
        proxy.mend();
    };
    let (ran, ()) = tokio::join!(behind.run(&args), cut);
    let said = ran.fails(6);
    assert!(said.contains("\nRun the same command again: it goes on."), "{said}");
    let said = behind.run(&args).await.ok();
    assert!(
        said.starts_with("Created 0 trees. 2 trees had been created by an earlier try."),
        "{said}"
    );
    assert_eq!(titles(&ada).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_of_a_file_that_is_not_understood() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let slip = file(&ada, "slip.jsonl", "{\"title\":\"One\"}\n{\"titel\":\"Two\"}\n");
    let said = ada.run(&["trees", "import", &slip]).await.fails(8);
    assert!(said.contains("line 2: a tree has no `titel`\nNothing was imported."), "{said}");
    let slip = file(&ada, "slip.md", "---\ntitle: One\n---\n- One\n");
    let said = ada.run(&["trees", "import", &slip]).await.fails(8);
    assert!(said.contains("line 4: a node begins with"), "{said}");
    assert_eq!(titles(&ada).await, Vec::<Value>::new());
    ada.run(&["trees", "import", "missing.jsonl"]).await.fails(1);
    // A folder that is overruled need not be there.
    let elsewhere = file(&ada, "one.md", "---\ntitle: One\nfolder: /Not/here\n---\n");
    ada.run(&["trees", "import", &elsewhere]).await.fails(4);
    let text = std::fs::read_to_string(&elsewhere).unwrap();
    let args = ["trees", "import", "-", "--format", "outline", "--folder", "/"];
    assert_eq!(ada.feed(&args, &text).await.ok(), "Created 1 tree.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_made_again_goes_on_without_again() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let proxy = LossyProxy::start(pair.api.address).await.unwrap();
    let behind = ada.clone().with("EVERGREEN_API_URL", &proxy.url());
    let path = file(&ada, "trees.jsonl", "{\"title\":\"One\"}\n");
    behind.run(&["trees", "import", &path]).await.ok();
    proxy.lose_answers();
    let args = ["trees", "import", &path, "--again"];
    let cut = async {
        pair.api_seen.ended("ImportTrees", 2).await;
        proxy.mend();
    };
    let (ran, ()) = tokio::join!(behind.run(&args), cut);
    let said = ran.fails(6);
    assert!(said.contains("\nRun the same command without `--again`: it goes on."), "{said}");
    let said = behind.json(&["trees", "import", &path]).await;
    assert_eq!(said, json!({ "createdCount": 0, "skippedCount": 1 }));
    assert_eq!(titles(&ada).await.len(), 2);

    let slip = file(&ada, "trees.jsonl", "{\"title\":\"One\"}\n{\"title\":\" \"}\n");
    let said = behind.run(&["trees", "import", &slip, "--again"]).await.fails(8);
    assert!(said.contains("then run the same command without `--again`: it goes on."), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_the_server_has_forgotten_is_not_made_twice_unasked() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let path = file(&ada, "trees.jsonl", "{\"title\":\"One\"}\n");
    ada.run(&["trees", "import", &path]).await.ok();
    let imports = ada.home.join("profiles/default/imports");
    let kept = std::fs::read_dir(imports).unwrap().next().unwrap().unwrap().path();
    let mut value: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    value["since"] = json!(value["since"].as_i64().unwrap_or_default() - 7 * 24 * 3_600);
    std::fs::write(&kept, value.to_string()).unwrap();
    let said = ada.run(&["trees", "import", &path]).await.fails(5);
    assert!(said.contains("`--again` imports it once more"), "{said}");
    assert_eq!(titles(&ada).await.len(), 1);
    ada.run(&["trees", "import", &path, "--again"]).await.ok();
    assert_eq!(titles(&ada).await.len(), 2);
}
