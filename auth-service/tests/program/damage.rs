//! Files that cannot be used: each is refused with what mends it, and nothing is lost.

use std::fs;

use crate::{
    doctor::finding,
    harness::{Place, place, sql},
};

const PASSWORD: &str = "correct horse battery staple";
const THEIRS: &str = "CREATE TABLE trees (id INTEGER PRIMARY KEY)";
const IS_FOREIGN: [&str; 2] =
    ["tables that are not this program's", "name the database that belongs to this program"];

/// A place with a user in it.
fn used() -> Place {
    let place = place();
    let made = place.told(&["user", "create", "ada", "--password-stdin"], PASSWORD);
    assert_eq!(made.code, Some(0), "{made:?}");
    place
}

/// The start is refused with these words, `doctor` fails on `check`, and neither changes a file but
/// those that are there while a database is open.
fn is_refused(place: &Place, check: &str, words: &[&str]) {
    let kept = |place: &Place| {
        let mut files = place.files();
        files.retain(|path, _| {
            let name = path.file_name().unwrap().to_str().unwrap();
            ["auth.db", "master.keys"].contains(&name)
        });
        files
    };
    let before = kept(place);
    let refused = place.refused(&["migrate"]);
    for word in words {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    let looked = place.on_data(&["doctor", "--listen=127.0.0.1:0"]);
    let (verdict, found) = finding(&looked, check);
    assert!(looked.code == Some(1) && verdict == "FAIL", "{check}: {found}");
    assert!(kept(place) == before, "a file was changed");
}

#[test]
fn a_damaged_database_is_refused_and_can_be_mended() {
    let place = used();
    let file = place.data("auth.db");
    let sound = fs::read(&file).unwrap();
    let overwritten = |range: std::ops::Range<usize>| {
        let mut bytes = sound.clone();
        bytes[range].fill(0xa5);
        bytes
    };
    for damaged in [
        overwritten(0..64),
        overwritten(100..4_096),
        sound[..sound.len() / 2].to_vec(),
        b"no database at all, but some text that somebody has put here".repeat(100),
    ] {
        fs::write(&file, damaged).unwrap();
        is_refused(&place, "database", &["is not a usable database", "restore it from a backup"]);
    }
    fs::write(&file, sound).unwrap();
    assert_eq!(place.done(&["user", "enable", "ada"]), "ada is enabled already\n");
}

/// A start that does not meet it takes no harm from it; `doctor` reads it all.
#[test]
fn damage_that_a_start_does_not_meet_is_found_by_doctor() {
    let place = used();
    let file = place.data("auth.db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 64].fill(0xa5);
    fs::write(&file, &bytes).unwrap();
    let looked = place.on_data(&["doctor", "--listen=127.0.0.1:0"]);
    let (verdict, found) = finding(&looked, "database");
    assert!(looked.code == Some(1) && verdict == "FAIL", "{found}");
    assert!(found.contains("is damaged") && found.contains("`restore FILE`"), "{found}");
    assert!(fs::read(&file).unwrap() == bytes, "the database was changed");
}

#[test]
fn a_schema_on_postgres_that_is_not_this_programs_is_refused() {
    let Some(server) = private_postgres::Postgres::shared() else { return };
    let place = place();
    let url = server.create_database("auth_damage").unwrap();
    let url = format!("--database-url={url}");
    place.done(&["migrate", &url]);
    const NEWER: &str = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '', 0)";
    const HALF: &str = "DELETE FROM _sqlx_migrations WHERE version = 9999;
                        UPDATE _sqlx_migrations SET success = false WHERE version = 7";
    const FOREIGN: &str = "UPDATE _sqlx_migrations SET success = true WHERE version = 7;
                           UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1";
    for (statement, words) in [
        (NEWER, ["schema 9999, newer than this program's", "run the newer program"]),
        (HALF, ["migration 7 while it was half done", "restore the backup from before it"]),
        (FOREIGN, IS_FOREIGN),
    ] {
        server.sql("auth_damage", statement).unwrap();
        let refused = place.refused(&["migrate", &url]);
        let looked = place.on_data(&["doctor", "--listen=127.0.0.1:0", &url]);
        let (verdict, found) = finding(&looked, "database");
        assert!(looked.code == Some(1) && verdict == "FAIL", "{found}");
        for word in words {
            assert!(refused.contains(word) && found.contains(word), "{word}: {refused} {found}");
        }
    }
}

#[tokio::test]
async fn a_schema_that_is_not_this_programs_is_refused_and_can_be_mended() {
    const NEWER: &str =
        "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', 1, x'00', 0)";
    const HALF: &str = "UPDATE _sqlx_migrations SET success = 0 WHERE version = 7";
    const FOREIGN: &str = "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1";
    // What it would make is there already: the step fails, and is taken back.
    const STUCK: &str = "DELETE FROM _sqlx_migrations WHERE version = 7";
    let place = used();
    let file = place.data("auth.db");
    let sound = fs::read(&file).unwrap();
    for (statement, words) in [
        (NEWER, ["schema 9999, newer than this program's", "run the newer program"]),
        (HALF, ["migration 7 while it was half done", "restore the backup from before it"]),
        (FOREIGN, IS_FOREIGN),
    ] {
        sql(&file, statement).await;
        is_refused(&place, "database", &words);
        fs::write(&file, &sound).unwrap();
    }
    // One that has seen no migration at all.
    fs::remove_file(&file).unwrap();
    sql(&file, THEIRS).await;
    is_refused(&place, "database", &IS_FOREIGN);
    fs::write(&file, &sound).unwrap();
    sql(&file, STUCK).await;
    let before = fs::read(&file).unwrap();
    let refused = place.refused(&["migrate"]);
    assert!(refused.contains("cannot be brought to this program's schema"), "{refused}");
    assert!(refused.contains("run the program that wrote it"), "{refused}");
    assert!(fs::read(&file).unwrap() == before, "the step was taken back");
    fs::write(&file, sound).unwrap();
    assert_eq!(place.done(&["user", "enable", "ada"]), "ada is enabled already\n");
}

#[test]
fn master_keys_that_are_not_the_databases_are_refused_and_can_be_mended() {
    let place = used();
    let ring = place.data("master.keys");
    let sound = fs::read(&ring).unwrap();
    fs::write(&ring, "bm90IHRoZSBzYW1lIHRoaXJ0eS10d28gYnl0ZXMgISE\n").unwrap();
    is_refused(&place, "signing keys", &["is not the ring that sealed", "bring back the file"]);
    fs::write(&ring, "short\n").unwrap();
    is_refused(&place, "master keys", &["--master-keys: ", "line 1"]);
    fs::remove_file(&ring).unwrap();
    is_refused(&place, "master keys", &["is missing", "bring it back"]);
    fs::write(&ring, sound).unwrap();
    assert_eq!(place.done(&["user", "enable", "ada"]), "ada is enabled already\n");
}
