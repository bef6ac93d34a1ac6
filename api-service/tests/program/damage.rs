//! Files that cannot be used: each is refused with what mends it, and nothing is lost.

use std::fs;

use crate::{
    doctor::finding,
    harness::{Place, place, sql},
};

/// The start is refused with these words, `doctor` fails on the database, and neither changes it.
fn is_refused(place: &Place, words: &[&str]) {
    let file = place.data("api.db");
    let before = fs::read(&file).unwrap();
    let refused = place.refused(&["migrate"]);
    for word in words {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    let looked = place.on_data(&["doctor", "--listen=127.0.0.1:0"]);
    let (verdict, found) = finding(&looked, "database");
    assert!(looked.code == Some(1) && verdict == "FAIL", "{found}");
    assert!(fs::read(&file).unwrap() == before, "the database was changed");
}

#[test]
fn a_damaged_database_is_refused_and_can_be_mended() {
    let place = place();
    place.done(&["migrate"]);
    let file = place.data("api.db");
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
        is_refused(&place, &["is not a database or is damaged", "restore it from a backup"]);
    }
    fs::write(&file, sound).unwrap();
    assert_eq!(place.done(&["migrate"]), "The database in data is up to date\n");
}

#[tokio::test]
async fn a_schema_that_is_not_this_programs_is_refused_and_can_be_mended() {
    const NEWER: &str =
        "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', 1, x'00', 0)";
    const HALF: &str = "UPDATE _sqlx_migrations SET success = 0 WHERE version = 5";
    const FOREIGN: &str = "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1";
    let place = place();
    place.done(&["migrate"]);
    let file = place.data("api.db");
    let sound = fs::read(&file).unwrap();
    for (statement, words) in [
        (NEWER, ["schema 9999, newer than this program's", "run the newer program"]),
        (HALF, ["migration 5 while it was half done", "restore the backup from before it"]),
        (FOREIGN, IS_FOREIGN),
    ] {
        sql(&file, statement).await;
        is_refused(&place, &words);
        fs::write(&file, &sound).unwrap();
    }
    // One that has seen no migration at all.
    fs::remove_file(&file).unwrap();
    sql(&file, THEIRS).await;
    is_refused(&place, &IS_FOREIGN);
    fs::write(&file, &sound).unwrap();
    assert_eq!(place.done(&["migrate"]), "The database in data is up to date\n");
}

#[test]
fn a_schema_on_postgres_that_is_not_this_programs_is_refused() {
    const FOREIGN: &str =
        "UPDATE evergreen_api._sqlx_migrations SET checksum = '' WHERE version = 5";
    let Some(server) = private_postgres::Postgres::shared() else { return };
    let place = place();
    let url = server.create_database("api_damage").unwrap();
    let url = format!("--database-url={url}");
    place.done(&["migrate", &url]);
    server.sql("api_damage", FOREIGN).unwrap();
    let refused = place.refused(&["migrate", &url]);
    let looked = place.on_data(&["doctor", "--listen=127.0.0.1:0", &url]);
    let (verdict, found) = finding(&looked, "database");
    assert!(looked.code == Some(1) && verdict == "FAIL", "{found}");
    for word in IS_FOREIGN {
        assert!(refused.contains(word) && found.contains(word), "{word}: {refused} {found}");
    }
}

const THEIRS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY)";
const IS_FOREIGN: [&str; 2] =
    ["tables that are not this program's", "name the database that belongs to this program"];
