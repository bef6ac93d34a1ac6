//! Instances of the version before serve on while a new one brings the schema up to date.

use private_postgres::Postgres;
use service_program::upgrade::Statements;

const BEFORE: Statements = Statements {
    migrations: concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres"),
    prepare: "CREATE SCHEMA IF NOT EXISTS evergreen_api; SET search_path = evergreen_api",
    text: include_str!("statements.sql"),
};

#[tokio::test]
async fn the_statements_of_the_version_before_run_on_the_schema_of_this_one() {
    let Some(server) = Postgres::shared() else { return };
    let url = server.create_database("upgraded").unwrap();
    assert_eq!(BEFORE.survive(&url, &[]).await, Ok(()));
}

#[tokio::test]
async fn a_migration_that_takes_away_what_they_need_is_found_out() {
    let Some(server) = Postgres::shared() else { return };
    for (n, (migration, found)) in [
        ("ALTER TABLE trees ADD COLUMN color text", None),
        ("ALTER TABLE folders DROP COLUMN tree_count", Some("tree_count")),
        ("ALTER TABLE trees ADD COLUMN number bigint", Some("ambiguous")),
        ("ALTER TABLE trees ADD CHECK (status <> 'draft')", Some("violates check constraint")),
        ("ALTER TABLE change_inbox RENAME COLUMN place TO number", Some("place")),
        ("CREATE UNIQUE INDEX one_each ON trees (category_id)", Some("duplicate key")),
    ]
    .into_iter()
    .enumerate()
    {
        let url = server.create_database(&format!("contracted_{n}")).unwrap();
        let done = BEFORE.survive(&url, &[migration]).await;
        match (found, done) {
            (None, done) => assert_eq!(done, Ok(()), "{migration}"),
            (Some(found), Err(why)) => assert!(why.contains(found), "{migration}: {why}"),
            (Some(_), Ok(())) => panic!("{migration} went unnoticed"),
        }
    }
}
