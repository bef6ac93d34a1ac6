//! Settings from defaults, a file, variables and flags: what is ApiService's own of it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use clap::{Args as _, Command};

use crate::harness::place;

#[test]
fn a_file_configures_the_program_and_its_secret_is_not_printed() {
    let place = place();
    let file = place.write(
        "api.toml",
        "deleted_retention = \"90d\"\nclient_id = \"id\"\nclient_secret = \"hush\"\n",
    );
    let print = ["check-config", "--print-config", "--config", &file, "--listen", "127.0.0.1:0"];
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let warned = place.run(&print).stderr;
    assert!(warned.contains("holds a secret (client_secret), and others may read it"), "{warned}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let ended = place.run_with(&print, &[("EVERGREEN_API_ISSUER", "us")]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let printed: Vec<_> = ended.stdout.lines().collect();
    let has = |start: &str, end: &str| {
        let found = printed.iter().any(|line| line.starts_with(start) && line.ends_with(end));
        assert!(found, "{start}: {}", ended.stdout);
    };
    has("deleted_retention = \"90d\" ", &format!("# file {file}, line 1"));
    has("client_secret = \"<redacted>\" ", &format!("# file {file}, line 3"));
    has("issuer = \"us\" ", "# environment EVERGREEN_API_ISSUER");
    has("listen = \"127.0.0.1:0\" ", "# flag --listen");
    has("audience = \"evergreen\" ", "# default");
    has("# client_secret_file is not set", "");
    assert!(!ended.stdout.contains("hush"), "{}", ended.stdout);

    let wrong = place.write("api.toml", "retention = \"90d\"\ndeleted_retentoin = \"90d\"\n");
    let ended = place.run(&["serve", "--config", &wrong]);
    assert!(ended.code == Some(2) && ended.stderr.contains("api.toml:1: retention is no setting"));
    let wrong = place.write("api.toml", "deleted_retentoin = \"90d\"\n");
    let ended = place.run(&["serve", "--config", &wrong]);
    assert!(ended.stderr.contains("did you mean deleted_retention?"), "{}", ended.stderr);
}

#[test]
fn a_secret_file_loses_one_line_end_and_nothing_else_counts_beside_it() {
    let place = place();
    let secret = place.write("secret", "hush\n");
    let args = ["check-config", "--client-id", "id", "--client-secret-file", &secret];
    assert_eq!(place.run(&args).stdout, "the settings are sound\n");
    let both = place.run_with(&args, &[("EVERGREEN_API_CLIENT_SECRET", "hush")]);
    let named = "--client-secret-file: must not be given beside --client-secret";
    assert!(both.code == Some(1) && both.stderr.contains(named), "{both:?}");
    let empty = place.write("empty", "\n");
    let args = ["serve", "--listen", "127.0.0.1:0", "--client-id", "id", "--client-secret-file"];
    let ended = place.run(&[&args[..], &[&empty]].concat());
    assert!(ended.stderr.contains("--client-id: must not be empty"), "{ended:?}");
}

/// Names follow from the key, so that the manual's table needs but one of them.
#[test]
fn the_manual_tells_every_setting_and_its_names_follow_from_its_key() {
    let settings = api_service::Config::augment_args(Command::new("settings"));
    let row = |arg: &clap::Arg| {
        let key = arg.get_id().as_str();
        assert_eq!(arg.get_long().unwrap(), key.replace('_', "-"));
        let variable = format!("EVERGREEN_API_{}", key.to_uppercase());
        assert_eq!(arg.get_env().unwrap(), variable.as_str());
        let default = arg.get_default_values().first().map(|text| text.to_str().unwrap());
        let default = default.map(|text| format!("`{text}`")).unwrap_or_default();
        format!("| `{key}` | {default} | {} |\n", arg.get_help().unwrap())
    };
    let table: String = settings.get_arguments().map(row).collect();
    let manual = include_str!("../../../docs/OPERATIONS.md");
    assert!(manual.contains(&table), "docs/OPERATIONS.md should hold:\n{table}");
}
