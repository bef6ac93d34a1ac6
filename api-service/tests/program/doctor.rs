//! What `doctor` finds, and that it changes nothing.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

use crate::harness::{Ended, place};

/// Where nobody listens.
const NOBODY: &str = "--auth-url=http://127.0.0.1:1";
const DOCTOR: &[&str] = &["doctor", "--listen=127.0.0.1:0", NOBODY];

/// The verdict on a check, and what was found.
pub(crate) fn finding(ended: &Ended, name: &str) -> (String, String) {
    let found = ended.stdout.lines().find_map(|line| {
        let (verdict, rest) = line.split_at(6);
        let found = rest.strip_prefix(name)?.strip_prefix(' ')?;
        Some((verdict.trim().to_owned(), found.trim().to_owned()))
    });
    found.unwrap_or_else(|| panic!("{name}: {ended:?}"))
}

#[test]
fn a_place_is_looked_at_and_left_as_it_is() {
    let place = place();
    let ended = place.on_data(DOCTOR);
    assert_eq!(ended.stderr, "");
    for name in ["data directory", "database"] {
        let (verdict, found) = finding(&ended, name);
        assert!(verdict == "ok" && found.contains("is made by the first start"), "{found}");
    }
    assert!(!place.path("data").exists());

    place.done(&["migrate"]);
    let before = place.files();
    let ended = place.on_data(DOCTOR);
    assert!(finding(&ended, "database").1.contains("api.db has schema"), "{}", ended.stdout);
    assert_eq!(finding(&ended, "clock").0, "ok");
    let (verdict, account) = finding(&ended, "account");
    assert!(verdict == "warn" && account.contains("auth-service service create"), "{account}");
    assert!(place.files() == before);

    let serving = place.serve(&[]);
    let listen = format!("--listen={}", serving.address);
    let ended = place.on_data(&["doctor", &listen]);
    let answers = format!("evergreen.api.v1.ApiService answers on {} already", serving.address);
    assert_eq!(finding(&ended, "port"), ("ok".into(), answers));
}

#[test]
fn what_fails_is_named_with_its_mend() {
    let place = place();
    let failed = |args: &[&str], name: &str, mend: &str| {
        let ended = place.on_data(args);
        let (verdict, found) = finding(&ended, name);
        assert!(ended.code == Some(1) && verdict == "FAIL", "{name}: {}", ended.stdout);
        assert!(found.contains(mend), "{mend}: {found}");
    };
    failed(DOCTOR, "AuthService", "http://127.0.0.1:1 does not tell its keys");
    failed(DOCTOR, "AuthService", "start it, or name another --auth-url");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    failed(&["doctor", &listen, NOBODY], "port", "stop the program that holds it");
    let account = |file| [DOCTOR, &["--client-id=id", "--client-secret-file", file]].concat();
    failed(
        &account("absent"),
        "account",
        "absent is missing; write the secret there, or name another file by --client-secret-file",
    );
    let secret = place.write("secret", "hush\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o604)).unwrap();
    failed(&account("secret"), "account", "secret has mode 0604; chmod 600 secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(finding(&place.on_data(&account("secret")), "account").0, "ok");
}

#[test]
fn postgres_is_reached_and_its_clock_compared() {
    let Some(server) = private_postgres::Postgres::shared() else { return };
    let place = place();
    let url = format!("--database-url={}", server.create_database("api_doctor").unwrap());
    let ended = place.on_data(&[DOCTOR, &[&url]].concat());
    assert!(finding(&ended, "database").1.ends_with("is empty; the first start makes its tables"));
    place.done(&["migrate", &url]);
    let ended = place.on_data(&[DOCTOR, &[&url]].concat());
    assert!(finding(&ended, "database").1.contains("has schema"), "{}", ended.stdout);
    assert!(finding(&ended, "clock").1.contains("PostgreSQL's"), "{}", ended.stdout);
    for command in ["backup", "restore"] {
        let refused = place.refused(&[command, "copy.db", &url]);
        assert!(refused.contains("--schema=evergreen_api"), "{refused}");
        assert!(refused.contains("pg_dump") && refused.contains("pg_restore"), "{refused}");
    }
}
