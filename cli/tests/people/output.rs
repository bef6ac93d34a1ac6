//! Output that has nowhere to go.

use std::process::Stdio;

use tokio::{process::Command, time::timeout};

use crate::harness::{PATIENCE, Pair, Person};

/// What each of these would print.
const COMMANDS: [&[&str]; 11] = [
    &["trees", "export"],
    &["trees", "edit", "One", "--print"],
    &["trees", "list"],
    &["trees", "list", "--json"],
    &["trees", "show", "One"],
    &["trees", "search", "One"],
    &["trees", "watch", "--json"],
    &["trees", "mv", "One", "/"],
    &["folders", "tree"],
    &["walk", "One"],
    &["whoami"],
];

/// Somebody with a tree and a folder.
async fn author(pair: &Pair) -> Person {
    let ada = pair.user("ada").await;
    ada.run(&["folders", "new", "IT"]).await.ok();
    ada.feed(&["trees", "new", "--from", "-"], "---\ntitle: One\n---\n\n- = End {#end}\n")
        .await
        .ok();
    ada
}

/// The exit code, and what is said on standard error.
async fn ends(mut command: Command, stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let child = command.stdout(stdout).spawn().unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Commands that need no profile, each told where it may keep what it makes.
fn tools(dir: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["completions", "bash"],
        vec!["man"],
        vec!["demo"],
        vec!["soak", "--sessions", "1", "--rotations", "1"],
        vec![
            "up",
            "--data-dir",
            dir,
            "--auth-listen",
            "127.0.0.1:0",
            "--api-listen",
            "127.0.0.1:0",
        ],
    ]
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_a_failure() {
    let pair = Pair::start().await;
    let ada = author(&pair).await;
    for args in COMMANDS {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = ends(ada.command(args), full).await;
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains("cannot write to standard output: "), "{args:?}: {said}");
    }
    let dir = tempfile::TempDir::new().unwrap();
    for args in tools(dir.path().to_str().unwrap()) {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = ends(Person::nobody().command(&args), full).await;
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains("evergreen: cannot write to standard output: "), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_has_gone_away_is_no_failure() {
    let pair = Pair::start().await;
    let ada = author(&pair).await;
    for args in COMMANDS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, said) = ends(ada.command(args), writer).await;
        assert_eq!(code, Some(0), "{args:?}: {said}");
        assert!(!said.contains("evergreen: "), "{args:?}: {said}");
    }
    let dir = tempfile::TempDir::new().unwrap();
    for args in tools(dir.path().to_str().unwrap()) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, said) = ends(Person::nobody().command(&args), writer).await;
        assert_eq!(code, Some(0), "{args:?}: {said}");
        assert!(!said.contains("evergreen: "), "{args:?}: {said}");
    }
}
