//! Trees as text: edited, made from a file, walked through.

use std::{fs, path::PathBuf};

use cli::lab::LossyProxy;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{PATIENCE, Pair, Person};

const OUTLINE: &str = "\
---
title: Printer does not print
status: published
visibility: private
category:
folder: /IT
tags: printer, office
---

Try these in order.

- ? Is the lamp green? {#lamp}
  Look at the front.
  - = No: switch it on {#on}
  - ? Yes: is there paper? {#paper}
    - = No: add some {#add}
    - ! Yes: print a test page {#test}
";

/// Somebody with a folder and a tree.
async fn author(pair: &Pair) -> Person {
    let ada = pair.user("ada").await;
    ada.run(&["folders", "new", "IT"]).await.ok();
    ada.feed(&["trees", "new", "--from", "-"], OUTLINE).await.ok();
    ada
}

/// An editor that does what a script says with the file `$1`.
fn editor(ada: &Person, name: &str, script: &str) -> Person {
    let path = ada.home.join(name);
    fs::write(&path, script).unwrap();
    ada.clone().with("EDITOR", &format!("sh {}", path.display()))
}

/// The files in which the user's texts are kept.
fn kept(ada: &Person) -> Vec<PathBuf> {
    let entries = fs::read_dir(ada.home.join("profiles/default/edits")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The file of the user's that a message names.
fn named(message: &str) -> PathBuf {
    let (_, rest) = message.split_once("is in ").unwrap();
    rest.split_once(".md").map(|(path, _)| format!("{path}.md").into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_made_shown_and_edited_as_text() {
    let pair = Pair::start().await;
    let ada = author(&pair).await;
    let title = "Printer does not print";
    assert_eq!(ada.run(&["trees", "edit", title, "--print"]).await.ok(), OUTLINE);
    let shown = ada.run(&["trees", "show", title]).await.ok();
    let (about, drawn) = shown.split_once("\n\n").unwrap();
    assert!(
        about.starts_with(
            "Printer does not print\npublished · private · /IT · #printer · #office · "
        )
    );
    let expected = "\
Try these in order.

? Is the lamp green?
│  Look at the front.
├─ = No: switch it on
└─ ? Yes: is there paper?
   ├─ = No: add some
   └─ ! Yes: print a test page
";
    assert_eq!(drawn, expected);

    let same = editor(&ada, "same", "true").run(&["trees", "edit", title]).await.ok();
    assert_eq!(same, "Nothing was changed.\n");
    let script = "sed -i -e 's/^folder:.*/folder:/' -e 's/add some {#add}/add paper/' \"$1\"";
    let before = ada.json(&["trees", "show", title]).await;
    editor(&ada, "change", script).run(&["trees", "edit", title]).await.ok();
    let after = ada.json(&["trees", "show", title]).await;
    assert_eq!(after["folderId"], "");
    let mut nodes = before["nodes"].clone();
    nodes[3]["nodeId"] = json!("n1");
    nodes[3]["title"] = json!("No: add paper");
    assert_eq!(after["nodes"], nodes);
    assert_eq!(after["tags"], before["tags"]);
    // A quiet editor that fails changes nothing.
    let said = editor(&ada, "fail", "exit 3").run(&["trees", "edit", title]).await.fails(1);
    assert!(said.contains("Nothing was changed."), "{said}");
    assert_eq!(kept(&ada), Vec::<PathBuf>::new(), "all is saved");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_in_its_file_until_the_server_has_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    // Unfiled, so that saving it asks the server nothing else first.
    ada.run(&["trees", "new", "Plain"]).await.ok();
    let proxy = LossyProxy::start(pair.api.address).await.unwrap();
    // The editor stays open until the server has been made to hang.
    let gate = ada.home.join("gate");
    ada.program("mkfifo", &[gate.to_str().unwrap()]).await.ok();
    let script = format!("cat '{}' >> \"$1\"", gate.display());
    let behind = editor(&ada, "waits", &script).with("EVERGREEN_API_URL", &proxy.url());
    let mut child = behind.command(&["trees", "edit", "Plain"]).spawn().unwrap();
    let edit = async {
        let mut open = tokio::fs::OpenOptions::new().write(true).open(&gate).await.unwrap();
        proxy.keep_answers();
        tokio::io::AsyncWriteExt::write_all(&mut open, b"Or not.\n").await.unwrap();
        tokio::io::AsyncWriteExt::flush(&mut open).await.unwrap();
        drop(open);
        pair.api_seen.ended("UpdateTree", 1).await;
    };
    timeout(PATIENCE, edit).await.unwrap();
    child.kill().await.unwrap();
    let files = kept(&ada);
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(fs::read_to_string(&files[0]).unwrap().ends_with("Or not.\n"));
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_editor_saves_in_another_encoding_is_kept() {
    let pair = Pair::start().await;
    let ada = author(&pair).await;
    let latin = editor(&ada, "latin", "printf '      Dr\\374cken.\\n' >> \"$1\"");
    let said = latin.run(&["trees", "edit", "Printer does not print"]).await.fails(8);
    assert!(said.contains("UTF-8"), "{said}");
    assert!(fs::read(named(&said)).unwrap().ends_with(b"      Dr\xfccken.\n"), "{said}");
    // An editor that fails has not always saved nothing.
    let fails = editor(&ada, "fails", "echo '      Or not.' >> \"$1\"; exit 3");
    let said = fails.run(&["trees", "edit", "Printer does not print"]).await.fails(1);
    assert!(fs::read_to_string(named(&said)).unwrap().ends_with("      Or not.\n"));
    assert_eq!(kept(&ada).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflicting_edit_is_never_lost() {
    let pair = Pair::start().await;
    let ada = author(&pair).await;
    let title = "Printer does not print";
    // While the editor is open, the same tree is changed from elsewhere.
    let meanwhile = format!(
        "{} trees mv '{title}' / >/dev/null && sed -i 's/some/paper, please,/' \"$1\"",
        env!("CARGO_BIN_EXE_evergreen")
    );
    let said = editor(&ada, "meanwhile", &meanwhile).run(&["trees", "edit", title]).await.fails(5);
    assert!(said.contains("Nothing was overwritten"), "{said}");
    let kept = named(&said);
    assert!(fs::read_to_string(&kept).unwrap().contains("No: add paper, please, {#add}"));
    assert!(ada.home.join("profiles/default/edits").join(kept.file_name().unwrap()).exists());
    let tree = ada.json(&["trees", "show", title]).await;
    assert_eq!(
        (&tree["folderId"], &tree["nodes"][3]["title"]),
        (&json!(""), &json!("No: add some"))
    );
    // The message's own command brings it in.
    assert!(said.contains(&format!("--from {}", kept.display())), "{said}");
    ada.run(&["trees", "edit", title, "--from", kept.to_str().unwrap()]).await.ok();
    let tree = ada.json(&["trees", "show", title]).await;
    assert_eq!(tree["nodes"][3]["title"], "No: add paper, please,");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_signed_out_while_editing_loses_nothing() {
    let pair = Pair::start().await;
    let ada = author(&pair).await;
    let away = format!(
        "{} logout >/dev/null; echo '      Or not.' >>\"$1\"",
        env!("CARGO_BIN_EXE_evergreen")
    );
    let said = editor(&ada, "away", &away)
        .run(&["trees", "edit", "Printer does not print"])
        .await
        .fails(3);
    assert!(said.contains("\nRun `evergreen login`. Your text is in "), "{said}");
    assert!(fs::read_to_string(named(&said)).unwrap().ends_with("      Or not.\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outline_with_a_mistake_is_kept_and_the_line_is_named() {
    let pair = Pair::start().await;
    let ada = author(&pair).await;
    let title = "Printer does not print";
    let slip = editor(&ada, "slip", "sed -i 's/- = No: add/- No: add/' \"$1\"");
    let said = slip.run(&["trees", "edit", title]).await.fails(8);
    assert!(said.contains("line 16: ") && said.contains("`- =` (solution)"), "{said}");
    assert!(fs::read_to_string(named(&said)).unwrap().contains("- No: add"));
    // What the server does not take is kept as well.
    let long = editor(&ada, "long", "sed -i \"s/^tags:.*/tags: $(printf %060d 0)/\" \"$1\"");
    let said = long.run(&["trees", "edit", title]).await.fails(8);
    assert!(said.contains("tree.tags[0]: "), "{said}");
    assert!(named(&said).exists());
    let unknown = editor(&ada, "where", "sed -i 's/^folder:.*/folder: Cellar/' \"$1\"");
    let said = unknown.run(&["trees", "edit", title]).await.fails(4);
    assert!(said.contains("There is no folder “Cellar”."), "{said}");
    let said = ada.feed(&["trees", "new", "--from", "-"], "no outline").await.fails(8);
    assert!(said.contains("line 1: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_by_answers_back_and_to_its_end() {
    let pair = Pair::start().await;
    let ada = author(&pair).await;
    let walk = ["walk", "Printer does not print"];
    let said = ada.feed(&walk, "2\nb\n2\n1\n").await.ok();
    let asked = "\n? Is the lamp green?\n  Look at the front.\n  1  No: switch it on\n  2  Yes: is there paper?\n";
    let paper = "\n? Yes: is there paper?\n  1  No: add some\n  2  Yes: print a test page\n";
    let expected =
        format!("Printer does not print\n{asked}{paper}{asked}{paper}\n= No: add some\n");
    assert_eq!(said, expected);

    let path = async |answers| {
        let said = ada.feed(&[&walk[..], &["--json"]].concat(), answers).await.ok();
        let value: Value = serde_json::from_str(&said).unwrap();
        let path = value["path"].as_array().unwrap().iter().map(|node| node["nodeId"].clone());
        (path.collect::<Vec<_>>(), value["outcome"].clone())
    };
    assert_eq!(path("1\n").await, (vec![json!("lamp"), json!("on")], json!("solution")));
    assert_eq!(path("b\n2\n2\n").await.1, "end", "an action with nothing below it");
    assert_eq!(path("2\nq\n").await, (vec![json!("lamp"), json!("paper")], json!("quit")));
    ada.feed(&walk, "2\n").await.code_is(8).err_has("end before the walk");
    ada.feed(&walk, "3\n").await.code_is(8).err_has("a number from 1 to 2");
    ada.run(&["trees", "new", "Empty"]).await.ok();
    ada.run(&["walk", "Empty"]).await.code_is(8).err_has("no nodes");
}
