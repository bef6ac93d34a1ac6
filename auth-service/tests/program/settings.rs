//! Settings from defaults, a file, variables and flags.

use clap::{Args as _, Command};

use crate::harness::place;

/// The value and the origin that `--print-config` tells of a key.
fn told<'a>(printed: &'a str, key: &str) -> (&'a str, &'a str) {
    let line = printed.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
    let (value, origin) = line.expect(printed).split_once("  # ").unwrap();
    (value.trim_end(), origin)
}

#[test]
fn a_flag_wins_over_a_variable_and_that_over_the_file_and_that_over_the_default() {
    let place = place();
    let file = place.write(
        "auth.toml",
        "access_token_ttl = \"2m\"\nrefresh_token_ttl = \"3d\"\nsession_ttl = \"20d\"\n\
         insecure = true\nopen_registration = true\nhash_queue = 9\nlisten = \"[::1]:7\"\n",
    );
    let args = ["check-config", "--print-config", "--access-token-ttl", "4m", "--insecure=false"];
    let variables = [
        ("EVERGREEN_AUTH_CONFIG", file.as_str()),
        ("EVERGREEN_AUTH_ACCESS_TOKEN_TTL", "3m"),
        ("EVERGREEN_AUTH_REFRESH_TOKEN_TTL", "4d"),
        ("EVERGREEN_AUTH_INSECURE", "yes"),
        ("EVERGREEN_AUTH_ADOPT", "no"),
    ];
    let ended = place.run_with(&args, &variables);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let told = |key| told(&ended.stdout, key);
    let line = |line: u32| format!("file {file}, line {line}");
    assert_eq!(told("access_token_ttl"), ("\"4m\"", "flag --access-token-ttl"));
    let variable = "environment EVERGREEN_AUTH_REFRESH_TOKEN_TTL";
    assert_eq!(told("refresh_token_ttl"), ("\"4d\"", variable));
    assert_eq!(told("session_ttl"), ("\"20d\"", line(3).as_str()));
    assert_eq!(told("insecure"), ("false", "flag --insecure"));
    assert_eq!(told("adopt"), ("false", "environment EVERGREEN_AUTH_ADOPT"));
    assert_eq!(told("open_registration"), ("true", line(5).as_str()));
    assert_eq!(told("hash_queue"), ("9", line(6).as_str()));
    assert_eq!(told("listen"), ("\"[::1]:7\"", line(7).as_str()));
    assert_eq!(told("issuer"), ("\"evergreen\"", "default"));
    assert!(ended.stdout.contains("# ops_listen is not set\n"), "{}", ended.stdout);

    // What was printed is such a file itself.
    let again = place.write("again.toml", &ended.stdout);
    let reread = place.run(&["serve", "--print-config", "--config", &again]).stdout;
    let values = |printed: &str| -> Vec<_> {
        printed.lines().map(|line| line.split("  # ").next().unwrap().trim().to_owned()).collect()
    };
    assert_eq!(values(&reread), values(&ended.stdout));
    assert!(reread.contains("again.toml, line 1\n"), "{reread}");
}

#[test]
fn what_is_wrong_in_a_file_or_a_variable_is_named_and_nothing_is_started() {
    let place = place();
    for (text, named) in [
        (
            "acces_token_ttl = '5m'",
            "auth.toml:1: acces_token_ttl is no setting; did you mean access_token_ttl?",
        ),
        (
            "\naccess_token_ttl = 'soon'",
            "auth.toml:2: access_token_ttl: expected number at 0; expected a duration such as",
        ),
        ("hash_queue = '9'", "auth.toml:1: hash_queue: is text in quotes; expected a whole number"),
        ("config = 'other.toml'", "auth.toml:1: config is no setting"),
        (
            "listen = '127.0.0.1'",
            "auth.toml:1: listen: invalid socket address syntax; expected an address",
        ),
        ("data_dir", "auth.toml:1: "),
    ] {
        let file = place.write("auth.toml", text);
        let ended = place.run(&["serve", "--config", &file]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(named), "{}", ended.stderr);
    }
    let absent = place.run(&["serve", "--config", "absent.toml"]);
    assert!(absent.stderr.contains("--config: absent.toml: No such file"), "{}", absent.stderr);

    let bad = place.run_with(&["serve"], &[("EVERGREEN_AUTH_SESSION_TTL", "soon")]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    assert!(bad.stderr.contains("that of EVERGREEN_AUTH_SESSION_TTL\n"), "{}", bad.stderr);
    let flag = ["serve", "--session-ttl", "soon"];
    let bad = place.run_with(&flag, &[("EVERGREEN_AUTH_SESSION_TTL", "1d")]);
    assert!(bad.stderr.contains("--session-ttl") && !bad.stderr.contains("that of"), "{bad:?}");

    let sound = place.run_with(&["check-config"], &[("EVERGREEN_AUTH_LISTN", "x")]);
    assert_eq!((sound.code, sound.stdout.as_str()), (Some(0), "the settings are sound\n"));
    let warning = "auth-service: warning: EVERGREEN_AUTH_LISTN is no setting of auth-service; did \
                   you mean EVERGREEN_AUTH_LISTEN?\n";
    assert_eq!(sound.stderr, warning);
    assert!(!place.path("evergreen-data").exists(), "nothing was made");
}

#[test]
fn secrets_come_from_files_too_and_are_never_printed() {
    let place = place();
    let url = "postgres://ada:hush@db.invalid:5432/evergreen?sslmode=require";
    let print = ["check-config", "--print-config"];
    let ended = place.run_with(&print, &[("EVERGREEN_AUTH_DATABASE_URL", url)]);
    let shown = "\"postgres://ada:<redacted>@db.invalid:5432/evergreen?sslmode=require\"";
    assert_eq!(told(&ended.stdout, "database_url").0, shown);
    assert!(!ended.stdout.contains("hush"), "{}", ended.stdout);
    let file = place.write("auth.toml", &ended.stdout);
    let redacted = place.run(&["serve", "--config", &file]);
    assert!(redacted.stderr.contains("database_url: holds <redacted>"), "{}", redacted.stderr);

    let secret = place.write("url", "mysql://ada:hush@db.invalid/evergreen\n");
    let both = ["check-config", "--database-url", url, "--database-url-file", &secret];
    let both = place.run(&both);
    let named = "--database-url-file: must not be given beside --database-url";
    assert!(both.code == Some(1) && both.stderr.contains(named), "{both:?}");
    // It is the file's URL that is judged.
    let read = place.run(&["serve", "--listen", "127.0.0.1:0", "--database-url-file", &secret]);
    assert!(read.stderr.contains("it has another scheme"), "{read:?}");
    assert!(!read.stderr.contains("hush"), "{read:?}");
}

#[test]
fn help_teaches() {
    let place = place();
    let help = place.run(&["--help"]).stdout;
    for taught in ["--config FILE", "access_token_ttl = \"5m\"", "--print-config", "Examples:"] {
        assert!(help.contains(taught), "{taught}: {help}");
    }
    let serve = place.run(&["serve", "--help"]).stdout;
    for taught in ["EVERGREEN_AUTH_CONFIG", "[default: 15m]", "EVERGREEN_AUTH_DATABASE_URL_FILE"] {
        assert!(serve.contains(taught), "{taught}: {serve}");
    }
}

/// Names follow from the key, so that the manual's table needs but one of them.
#[test]
fn the_manual_tells_every_setting_and_its_names_follow_from_its_key() {
    let settings = auth_service::Config::augment_args(Command::new("settings"));
    let row = |arg: &clap::Arg| {
        let key = arg.get_id().as_str();
        assert_eq!(arg.get_long().unwrap(), key.replace('_', "-"));
        let variable = format!("EVERGREEN_AUTH_{}", key.to_uppercase());
        assert_eq!(arg.get_env().unwrap(), variable.as_str());
        let default = arg.get_default_values().first().map(|text| text.to_str().unwrap());
        let default = default.map(|text| format!("`{text}`")).unwrap_or_default();
        format!("| `{key}` | {default} | {} |\n", arg.get_help().unwrap())
    };
    let table: String = settings.get_arguments().map(row).collect();
    let manual = include_str!("../../../docs/OPERATIONS.md");
    assert!(manual.contains(&table), "docs/OPERATIONS.md should hold:\n{table}");
}
