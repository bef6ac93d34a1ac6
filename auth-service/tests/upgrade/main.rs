//! Instances of the version before serve on while a new one brings the schema up to date.

use service_program::upgrade::Statements;

const BEFORE: Statements = Statements {
    migrations: concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres"),
    prepare: "",
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
            ("ALTER TABLE sessions ADD COLUMN binding bytea", None),
            ("ALTER TABLE sessions DROP COLUMN last_keyed", Some("last_keyed")),
            ("ALTER TABLE sessions ADD COLUMN region text NOT NULL DEFAULT 'here'", None),
            (
                "ALTER TABLE users ADD COLUMN region text NOT NULL DEFAULT 'here';
                 ALTER TABLE users ALTER COLUMN region DROP DEFAULT",
                Some("null value in column \"region\""),
            ),
            ("ALTER TABLE guesses RENAME TO attempts", Some("guesses")),
            ("ALTER TABLE users ALTER COLUMN roles_version TYPE integer", Some("cached plan")),
            ("ALTER TABLE users ADD CHECK (roles <> 'viewer')", Some("violates check constraint")),
        ])
        .await;
}
