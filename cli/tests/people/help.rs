//! What the command says of itself.

use crate::harness::Person;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_explains_itself_and_every_group_by_example() {
    let nobody = Person::nobody();
    for group in [
        "login",
        "register",
        "logout",
        "whoami",
        "sessions",
        "passwd",
        "trees",
        "walk",
        "folders",
        "categories",
        "admin",
        "completions",
        "man",
    ] {
        let help = nobody.run(&[group, "--help"]).await.ok();
        assert!(
            help.contains(&format!("Examples:\n  evergreen {group}"))
                || help.contains("\n  printf")
                || help.contains("\n  pass "),
            "{group}: {help}"
        );
        assert!(help.contains("Usage: evergreen "), "{group}");
    }
    for group in ["audit", "keys", "services", "users"] {
        let help = nobody.run(&["admin", group, "--help"]).await.ok();
        assert!(help.contains(&format!("Examples:\n  evergreen admin {group} ")), "{help}");
    }
    let help = nobody.run(&["--help"]).await.ok();
    assert!(help.contains("Exit codes: 0 done;"), "{help}");
    for command in ["new", "edit"] {
        let help = nobody.run(&["trees", command, "--help"]).await.ok();
        assert!(help.contains("earlier revisions"), "{command}: {help}");
    }
    nobody.run(&["nonsense"]).await.fails(2);
    nobody.run(&["trees"]).await.fails(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_and_manuals_know_all_commands() {
    let nobody = Person::nobody();
    for shell in ["bash", "zsh", "fish"] {
        let script = nobody.run(&["completions", shell]).await.ok();
        assert!(script.contains("rollback") && script.contains("whoami"), "{shell}");
    }
    assert!(nobody.run(&["man"]).await.ok().contains(".TH evergreen 1"));
    let dir = tempfile::tempdir().unwrap();
    nobody.run(&["man", "--dir", dir.path().to_str().unwrap()]).await.ok();
    for page in ["evergreen.1", "evergreen-trees.1", "evergreen-trees-edit.1"] {
        assert!(dir.path().join(page).is_file(), "{page}");
    }
    assert!(!dir.path().join("evergreen-demo-rival.1").exists());
}
