//! `evergreen admin audit`.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use evergreen_proto::auth::v1::{AuditEvent, ListAuditEventsRequest};
use prost_types::Timestamp;
use serde_json::{Value, json};
use token::clock::{Clock as _, SystemClock};

use super::{Client, users};
use crate::{
    common::Context,
    errors::Error,
    output::{Table, json},
    pages::{self, PAGE},
};

/// What happened to accounts, sessions and keys
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen admin audit list --user ada --since 24h
  evergreen admin audit list --kind login_failed --since 2026-01-01 --until 2026-02-01
  evergreen admin audit list --json | jq -r '.events[].kind' | sort | uniq -c")]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
}

/// What happened, newest first
#[derive(Args, Debug)]
struct List {
    /// Only events of this kind, such as login_failed
    #[arg(long, default_value = "", hide_default_value = true)]
    kind: String,

    /// Only what is about this user: name or id
    #[arg(long)]
    user: Option<String>,

    /// Only what is about this service
    #[arg(long, value_name = "CLIENT_ID", conflicts_with = "user")]
    service: Option<String>,

    /// Only what is about this session
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    session: String,

    /// Only what happened since: a time (UTC), or how long ago, such as 24h
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,

    /// Only what happened before: a time (UTC), or how long ago
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,

    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    limit: usize,
}

/// A point in time as somebody names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Ago(Duration),
    At(SystemTime),
}

impl When {
    fn timestamp(self) -> Timestamp {
        match self {
            Self::At(time) => time.into(),
            Self::Ago(past) => SystemTime::from(SystemClock::new().now() - past).into(),
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    let day = || humantime::parse_rfc3339_weak(&format!("{text}T00:00:00"));
    let at = humantime::parse_rfc3339_weak(text).or_else(|_| day()).map(When::At);
    at.or_else(|_| humantime::parse_duration(text).map(When::Ago)).map_err(|_| {
        "must be a time such as 2026-01-31 or 2026-01-31T12:00:00Z, or how long ago, such as 24h"
            .to_owned()
    })
}

impl Audit {
    pub(super) async fn run(self, context: &Context, admin: Client) -> Result<(), Error> {
        match self.command {
            Command::List(list) => list.run(context, &admin).await,
        }
    }
}

impl List {
    async fn run(self, context: &Context, admin: &Client) -> Result<(), Error> {
        let account_id = match (&self.user, self.service) {
            (Some(user), _) => users::named(admin, user).await?.user_id,
            (None, service) => service.unwrap_or_default(),
        };
        let filter = ListAuditEventsRequest {
            page_size: PAGE.min(i32::try_from(self.limit).unwrap_or(PAGE)).max(1),
            kind: self.kind,
            account_id,
            session_id: self.session,
            since: self.since.map(When::timestamp),
            until: self.until.map(When::timestamp),
            ..ListAuditEventsRequest::default()
        };
        let events = pages::all(self.limit, async |page_token| {
            let request = ListAuditEventsRequest { page_token, ..filter.clone() };
            let answer = admin.clone().list_audit_events(request).await?.into_inner();
            Ok((answer.events, answer.next_page_token))
        })
        .await?;
        if context.out.is_json() {
            let events: Value = events.iter().map(json::audit_event).collect();
            return context.out.value(&json!({ "events": events }));
        }
        context.out.table(&table(&events), "No events.")?;
        context.out.cut(events.len(), self.limit);
        Ok(())
    }
}

fn table(events: &[AuditEvent]) -> Table {
    let mut table = Table::new(&["=TIME", "=KIND", "-ACCOUNT", "FROM", "DETAIL"]);
    for event in events {
        table.row([
            &json::second(event.event_time.as_ref()),
            &event.kind,
            &event.account_id,
            &event.address,
            &detail(event),
        ]);
    }
    table
}

/// What was set, by whom, and on which device, as far as there is something to say.
fn detail(event: &AuditEvent) -> String {
    let parts = [("", &event.detail), ("by ", &event.actor), ("on ", &event.device_name)];
    let said = parts.into_iter().filter(|(_, what)| !what.is_empty());
    said.map(|(word, what)| format!("{word}{what}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_an_instant_or_so_long_ago() {
        let at = |seconds| When::At(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(when("2026-01-31").unwrap(), at(1_769_817_600));
        assert_eq!(when("2026-01-31T12:00:01Z").unwrap(), at(1_769_860_801));
        assert_eq!(when("24h").unwrap(), When::Ago(Duration::from_secs(86_400)));
        for bad in ["", "yesterday", "2026", "2026-13-01", "-1h"] {
            assert!(when(bad).unwrap_err().contains("24h"), "{bad}");
        }
        let stamp = at(1_769_860_801).timestamp();
        assert_eq!((stamp.seconds, stamp.nanos), (1_769_860_801, 0));
    }
}
