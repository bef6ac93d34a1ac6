//! What `doctor` finds, and that it changes nothing.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::harness::{Ended, place};

const DOCTOR: &[&str] = &["doctor", "--listen=127.0.0.1:0"];

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
fn a_place_that_nobody_has_used_is_sound_and_stays_unused() {
    let place = place();
    let ended = place.on_data(DOCTOR);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    for name in ["data directory", "database", "master keys"] {
        let (verdict, found) = finding(&ended, name);
        assert!(verdict == "ok" && found.contains("is made by the first start"), "{found}");
    }
    assert!(!place.path("data").exists());
}

#[test]
fn a_place_in_use_is_sound_and_is_left_as_it_is() {
    let place = place();
    place.done(&["migrate"]);
    let before = place.files();
    let ended = place.on_data(DOCTOR);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\x1b'), "no colour but on a terminal");
    let (_, database) = finding(&ended, "database");
    assert!(database.contains("auth.db has schema") && database.contains("this program's"));
    assert!(finding(&ended, "master keys").1.ends_with("has mode 0600"), "{}", ended.stdout);
    assert!(finding(&ended, "signing keys").1.ends_with("opens all 1 in use"), "{}", ended.stdout);
    assert!(finding(&ended, "clock").1.starts_with("it is later than"), "{}", ended.stdout);
    assert_eq!(place.files(), before);

    let serving = place.serve(&[]);
    let listen = format!("--listen={}", serving.address);
    let ended = place.on_data(&["doctor", &listen]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let answers = format!("evergreen.auth.v1.AuthService answers on {} already", serving.address);
    assert_eq!(finding(&ended, "port"), ("ok".into(), answers));
    assert_eq!(finding(&ended, "database").0, "ok");
}

#[test]
fn what_fails_is_named_with_its_mend() {
    let place = place();
    place.done(&["migrate"]);
    let failed = |args: &[&str], name: &str, mend: &str| {
        let ended = place.on_data(args);
        let (verdict, found) = finding(&ended, name);
        assert!(ended.code == Some(1) && verdict == "FAIL", "{name}: {}", ended.stdout);
        assert!(found.contains(mend), "{mend}: {found}");
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    failed(&["doctor", &listen], "port", "stop the program that holds it");
    failed(&["doctor", "--listen=0.0.0.0:0"], "port", "--insecure");
    let window = ["doctor", "--listen=127.0.0.1:0", "--rival-window=1s"];
    failed(&window, "settings", "--rival-window; must exceed");

    let ring = place.data("master.keys");
    let kept = fs::read(&ring).unwrap();
    fs::set_permissions(&ring, fs::Permissions::from_mode(0o644)).unwrap();
    failed(DOCTOR, "master keys", "has mode 0644; chmod 600 ");
    fs::set_permissions(&ring, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&ring, "short\n").unwrap();
    failed(DOCTOR, "master keys", "line 1");
    fs::write(&ring, "bm90IHRoZSBzYW1lIHRoaXJ0eS10d28gYnl0ZXMgISE\n").unwrap();
    failed(DOCTOR, "signing keys", "bring back the ring that sealed them");
    fs::remove_file(&ring).unwrap();
    failed(DOCTOR, "master keys", "is missing; bring back the file");
    fs::write(&ring, kept).unwrap();

    let wrong = place.on_data(&[DOCTOR, &["--json", "--database-url-file=absent"]].concat());
    let report: Value = serde_json::from_str(&wrong.stdout).unwrap();
    assert_eq!((wrong.code, &report["ok"]), (Some(1), &Value::Bool(false)));
    let checks = report["checks"].as_array().unwrap();
    let database = checks.iter().find(|check| check["name"] == "database").unwrap();
    assert_eq!(database["verdict"], "fail");
    assert_eq!(database["found"], "--database-url-file");
}

#[test]
fn postgres_is_reached_and_its_clock_compared() {
    let Some(server) = private_postgres::Postgres::shared() else { return };
    let place = place();
    let url = format!("--database-url={}", server.create_database("auth_doctor").unwrap());
    let ended = place.on_data(&[DOCTOR, &[&url]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(finding(&ended, "database").1.ends_with("is empty; the first start makes its tables"));
    place.done(&["migrate", &url]);
    let ended = place.on_data(&[DOCTOR, &[&url]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(finding(&ended, "database").1.contains("has schema"), "{}", ended.stdout);
    assert!(finding(&ended, "clock").1.contains("PostgreSQL's"), "{}", ended.stdout);
    for command in ["backup", "restore"] {
        let refused = place.refused(&[command, "copy.db", &url]);
        assert!(refused.contains("pg_dump") && refused.contains("pg_restore"), "{refused}");
    }
    let nobody = "--database-url=postgres://ada:hush@127.0.0.1:1/x";
    let ended = place.on_data(&[DOCTOR, &[nobody]].concat());
    let (verdict, found) = finding(&ended, "database");
    assert!(verdict == "FAIL" && found.contains("check that the server runs"), "{found}");
    assert!(!ended.stdout.contains("hush") && !ended.stderr.contains("hush"));
}
