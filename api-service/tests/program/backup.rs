//! Backups: made while the service runs, and put back while it does not.

use std::{fs, os::unix::fs::PermissionsExt as _};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use crate::harness::{Place, place, sql};

/// The names of the categories, in their order.
async fn categories(place: &Place) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(place.data("api.db"));
    let mut connection = options.connect().await.unwrap();
    let names = sqlx::query_scalar("SELECT slug FROM categories ORDER BY slug");
    let names = names.fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    names
}

#[tokio::test]
async fn a_backup_is_made_while_the_service_runs_and_restored_while_it_does_not() {
    let place = place();
    place.done(&["migrate"]);
    let file = place.data("api.db");
    sql(&file, ONE).await;
    let serving = place.serve(&[]);
    place.done(&["backup", "copy.db"]);
    assert_eq!(fs::metadata(place.path("copy.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = place.refused(&["backup", "copy.db"]);
    assert!(again.contains("copy.db exists already"), "{again}");
    let refused = place.refused(&["restore", "copy.db"]);
    assert!(refused.contains("in use by another process; stop that one"), "{refused}");
    drop(serving);

    sql(&file, TWO).await;
    assert_eq!(categories(&place).await, ["one", "two"]);
    let said = place.done(&["restore", "copy.db"]);
    assert!(said.contains("what was written since the backup is not there any more"), "{said}");
    assert_eq!(categories(&place).await, ["one"]);
    let former = said.lines().find_map(|line| line.strip_prefix("the former one is kept as "));
    fs::rename(place.path(former.expect(&said)), &file).unwrap();
    assert_eq!(categories(&place).await, ["one", "two"]);
    place.done(&["migrate"]);
}

#[tokio::test]
async fn a_backup_that_cannot_be_used_is_refused() {
    const NEWER: &str =
        "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', 1, x'00', 0)";
    let place = place();
    place.done(&["migrate"]);
    place.done(&["backup", "copy.db"]);
    let before = place.files();
    sql(&place.path("copy.db"), NEWER).await;
    let refused = place.refused(&["restore", "copy.db"]);
    assert!(refused.contains("has schema 9999, newer than this program's"), "{refused}");
    fs::write(place.path("copy.db"), "no database").unwrap();
    let refused = place.refused(&["restore", "copy.db"]);
    assert!(refused.contains("copy.db is damaged or no database"), "{refused}");
    // AuthService's, say: a database that has seen other migrations.
    fs::remove_file(place.path("copy.db")).unwrap();
    sql(&place.path("copy.db"), THEIRS).await;
    let refused = place.refused(&["restore", "copy.db"]);
    assert!(refused.contains("has tables that are not this program's"), "{refused}");
    assert!(place.files() == before, "a file was changed");
}

const THEIRS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY)";
const ONE: &str = "INSERT INTO categories VALUES (x'01', 'One', 'one', '', 1, 'e', 0, 0)";
const TWO: &str = "INSERT INTO categories VALUES (x'02', 'Two', 'two', '', 2, 'e', 0, 0)";
