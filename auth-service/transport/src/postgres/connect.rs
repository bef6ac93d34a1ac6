//! Connecting to the primary.

use sqlx::PgConnection;

/// Refuses a standby, whose rows may be old, and makes commits durable before they are acknowledged
/// where the server's default does not.
///
/// # Errors
///
/// That the server is a standby or read-only, or why it did not answer.
pub async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let read_only: String =
        sqlx::query_scalar("SHOW transaction_read_only").fetch_one(&mut *connection).await?;
    if read_only != "off" {
        return Err(sqlx::Error::Configuration(
            "the server is a standby or read-only, and what is written is read on the primary"
                .into(),
        ));
    }
    let durable: String =
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut *connection).await?;
    if durable == "off" {
        sqlx::query("SET synchronous_commit = on").execute(connection).await?;
    }
    Ok(())
}

/// What an operator can do about a database that cannot be used; `rights` is what to do if the user
/// may not create what the service needs.
#[must_use]
pub fn mend(error: &sqlx::Error, rights: &'static str) -> &'static str {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => {
            "check that the server runs and that its address is right"
        }
        sqlx::Error::Tls(_) => "check sslmode and sslrootcert in the URL",
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01" | "28000") => "check user and password in the URL",
            Some("3D000") => "create the database, or name another one in the URL",
            Some("42501") => rights,
            _ => "see the server's log",
        },
        _ => "connect to the primary, as a user who may create tables",
    }
}
