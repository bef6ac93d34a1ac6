//! Instances of the version before serve on while a new one brings the schema up to date.

use service_program::upgrade::Statements;

const BEFORE: Statements = Statements {
    migrations: concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres"),
    prepare: "CREATE SCHEMA IF NOT EXISTS evergreen_api; SET search_path = evergreen_api",
    text: include_str!("statements.sql"),
};

#[tokio::test]
async fn the_statements_of_the_version_before_run_on_the_schema_of_this_one() {
    BEFORE.assert_survive().await;
}

#[tokio::test]
async fn a_migration_that_takes_away_what_they_need_is_found_out() {
    BEFORE
        .assert_found_out(&[
            ("ALTER TABLE trees ADD COLUMN color text", None),
            ("ALTER TABLE folders DROP COLUMN tree_count", Some("tree_count")),
            ("ALTER TABLE trees ADD COLUMN number bigint", Some("ambiguous")),
            ("ALTER TABLE trees ADD CHECK (status <> 'draft')", Some("violates check constraint")),
            ("ALTER TABLE change_inbox RENAME COLUMN place TO number", Some("place")),
            ("CREATE UNIQUE INDEX one_each ON trees (category_id)", Some("duplicate key")),
        ])
        .await;
}
