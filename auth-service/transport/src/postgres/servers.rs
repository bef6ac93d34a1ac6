//! The servers of one database, and which of them is the primary.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{task::JoinSet, time::timeout};

use super::{connect::prepare, primary::Primary};

/// Where a database may be: one server, or several that replicate it, of which one takes writes.
#[derive(Clone, Debug)]
pub struct Servers(Vec<PgConnectOptions>);

impl Servers {
    /// These, in the order of preference among equals; none if there is none.
    #[must_use]
    pub fn new(servers: Vec<PgConnectOptions>) -> Option<Self> {
        (!servers.is_empty()).then_some(Self(servers))
    }

    /// What the connections call themselves.
    #[must_use]
    pub fn application_name(self, name: &str) -> Self {
        Self(self.0.into_iter().map(|server| server.application_name(name)).collect())
    }

    /// Looks for the primary, and gives back a connection to it that is [prepared](prepare).
    ///
    /// Of several that take writes it is the one that was promoted last: the others were primaries
    /// once and have not been told that they no longer are.
    ///
    /// # Errors
    ///
    /// What a single server says; of several, what each one says.
    pub async fn find(self) -> Result<(Primary, PgConnection), sqlx::Error> {
        if let [server] = self.0.as_slice() {
            let mut connection = PgConnection::connect_with(server).await?;
            prepare(&mut connection).await?;
            return Ok((Primary::at(self, 0, Timeline::default()), connection));
        }
        let asked = ask_all(&self, (0..self.0.len()).map(|_| None).collect()).await;
        let seen = asked.iter().map(|asked| asked.as_ref().ok().and_then(|seen| seen.writes));
        let found = newest(&seen.collect::<Vec<_>>(), 0, Timeline::default());
        let Some((at, timeline)) = found else { return Err(no_primary(&self, &asked)) };
        let mut connection = PgConnection::connect_with(&self.0[at]).await?;
        prepare(&mut connection).await?;
        Ok((Primary::at(self, at, timeline), connection))
    }

    pub(super) fn all(&self) -> &[PgConnectOptions] {
        &self.0
    }

    /// Their addresses, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        self.0.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

impl From<PgConnectOptions> for Servers {
    fn from(server: PgConnectOptions) -> Self {
        Self(vec![server])
    }
}

pub(super) fn shown(server: &PgConnectOptions) -> String {
    match server.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", server.get_host(), server.get_port()),
    }
}

/// Counts up with each promotion in a family of servers; 0 on an engine that does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timeline(u32);

/// A server that answers.
#[derive(Debug)]
pub(super) struct Seen {
    /// Kept, so that asking again costs no connection.
    pub(super) connection: PgConnection,
    /// Its timeline if it takes writes.
    pub(super) writes: Option<Timeline>,
}

/// Asks every server at once, on the connections that there are from the last time.
pub(super) async fn ask_all(
    servers: &Servers,
    connections: Vec<Option<PgConnection>>,
) -> Vec<Result<Seen, sqlx::Error>> {
    let mut asking = JoinSet::new();
    for (at, (server, connection)) in servers.0.iter().cloned().zip(connections).enumerate() {
        asking.spawn(async move {
            let answer = timeout(PATIENCE, ask(&server, connection)).await;
            (at, answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)))
        });
    }
    let mut answers = asking.join_all().await;
    answers.sort_unstable_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn ask(
    server: &PgConnectOptions,
    connection: Option<PgConnection>,
) -> Result<Seen, sqlx::Error> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => PgConnection::connect_with(server).await?,
    };
    let read_only: String =
        sqlx::query_scalar("SHOW transaction_read_only").fetch_one(&mut connection).await?;
    let writes = match read_only == "off" {
        true => Some(timeline(&mut connection).await?),
        false => None,
    };
    Ok(Seen { connection, writes })
}

/// The name of a log file begins with the timeline, in hexadecimal digits.
async fn timeline(connection: &mut PgConnection) -> Result<Timeline, sqlx::Error> {
    let statement = "SELECT substring(pg_walfile_name(pg_current_wal_lsn()) FROM 1 FOR 8)";
    match sqlx::query_scalar::<_, String>(statement).fetch_one(connection).await {
        Ok(digits) => Ok(u32::from_str_radix(&digits, 16).map_or_else(|_| Timeline(0), Timeline)),
        // The engine knows no timelines.
        Err(sqlx::Error::Database(_)) => Ok(Timeline(0)),
        Err(error) => Err(error),
    }
}

/// The server to write to, given what each one is: the one that was promoted last, and not before
/// `least`; among equals the one at `current`, else the first.
pub(super) fn newest(
    seen: &[Option<Timeline>],
    current: usize,
    least: Timeline,
) -> Option<(usize, Timeline)> {
    let newest = seen.iter().flatten().max().copied().filter(|newest| *newest >= least)?;
    let is_newest = |at: &usize| seen[*at] == Some(newest);
    let at = [current].into_iter().chain(0..seen.len()).find(is_newest)?;
    Some((at, newest))
}

fn no_primary(servers: &Servers, asked: &[Result<Seen, sqlx::Error>]) -> sqlx::Error {
    let said = servers.0.iter().zip(asked).map(|(server, asked)| match asked {
        Ok(_) => format!("{} is a standby or read-only", shown(server)),
        Err(sqlx::Error::PoolTimedOut) => format!("{} does not answer", shown(server)),
        Err(error) => format!("{}: {error}", shown(server)),
    });
    let said = said.collect::<Vec<_>>().join("; ");
    sqlx::Error::Configuration(format!("none of the servers takes writes: {said}").into())
}

/// How long a server may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_that_was_promoted_last_is_written_to() {
        let (old, new) = (Timeline(1), Timeline(2));
        for (seen, current, least, chosen) in [
            (vec![Some(old), None], 0, old, Some((0, old))),
            (vec![None, Some(new)], 0, old, Some((1, new))),
            // The former primary came back, and nobody told it.
            (vec![Some(old), Some(new)], 0, old, Some((1, new))),
            (vec![Some(old), Some(new)], 1, new, Some((1, new))),
            // It alone answers for a moment.
            (vec![Some(old), None], 1, new, None),
            // An engine whose servers all take writes is not left for another one.
            (vec![Some(Timeline(0)); 3], 2, Timeline(0), Some((2, Timeline(0)))),
            (vec![None, None], 0, old, None),
        ] {
            assert_eq!(newest(&seen, current, least), chosen, "{seen:?} from {current}");
        }
    }
}
