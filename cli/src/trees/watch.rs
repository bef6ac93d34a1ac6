//! `evergreen trees watch`.

use std::pin::pin;

use clap::Args;
use client_sdk::resume::Resumed;
use evergreen_proto::api::v1::{
    Change, ChangeKind, WatchChangesRequest, WatchChangesResponse, change::Resource,
};
use serde_json::{Value, json};
use tonic::Status;

use crate::{
    common::Context,
    errors::{Error, Exit},
    output::{self, Printer, clean, json},
    paint,
};

/// Tell what changes of all that you may read, until Ctrl-C
///
/// Each line of --json holds a change and the cursor behind it; `--since CURSOR` goes on from there.
/// Breaks of the connection are bridged.
#[derive(Args, Debug)]
pub(super) struct Watch {
    /// Also what changed since this cursor
    #[arg(long, value_name = "CURSOR", default_value = "", hide_default_value = true)]
    since: String,

    /// End after so many changes
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let (out, api) = (context.out, context.streaming_api()?);
        let open = move |cursor| {
            let mut api = api.clone();
            async move { Ok(api.watch_changes(WatchChangesRequest { cursor }).await?.into_inner()) }
        };
        // A server that is away now is no break to wait through.
        let first = open(self.since).await.map_err(about_cursor)?.message().await;
        let Some(first) = first.map_err(about_cursor)? else { return Err(ended("")) };
        out.note("Watching. Ctrl-C ends it.");
        if out.is_json() {
            print(out, &first)?;
        }
        let cursor = |response: &WatchChangesResponse| response.cursor.clone();
        let mut changes = Resumed::new(first.cursor, open, cursor);
        let mut unread = pin!(output::unread());
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let response = tokio::select! {
                response = changes.message() => response,
                // It would show at the next change only, which may be days away.
                () = &mut unread => return Ok(()),
            };
            let Some(response) = response.map_err(about_cursor)? else {
                return Err(ended(changes.cursor()));
            };
            if response.change.is_some() {
                print(out, &response)?;
                left -= 1;
            }
        }
        Ok(())
    }
}

/// What is wrong, and where the cursor came from if it is that.
fn about_cursor(status: Status) -> Error {
    let error = Error::from(status);
    let is_cursor = error.fields().any(|field| field == "cursor");
    match is_cursor {
        true => {
            error.then("Give `--since` a cursor that `watch --json` has printed, or leave it out.")
        }
        false => error,
    }
}

fn ended(cursor: &str) -> Error {
    let error = Error::new(Exit::Unreachable, "The server has ended the watch.");
    match cursor {
        "" => error.then("Try again in a moment."),
        cursor => error.then(format!("Go on with `--since {cursor}`.")),
    }
}

fn print(out: Printer, response: &WatchChangesResponse) -> Result<(), Error> {
    if out.is_json() {
        let change = response.change.as_ref().map(value);
        return out.value_line(&json!({ "change": change, "cursor": response.cursor }));
    }
    response.change.as_ref().map_or(Ok(()), |change| out.line(sentence(change)))
}

fn value(change: &Change) -> Value {
    let mut value = json!({ "kind": change.kind().as_str_name() });
    match &change.resource {
        Some(Resource::Tree(tree)) => value["tree"] = json::listed_tree(tree),
        Some(Resource::Folder(folder)) => value["folder"] = json::folder(folder),
        Some(Resource::Category(category)) => value["category"] = json::category(category),
        None => {}
    }
    value
}

fn sentence(change: &Change) -> String {
    let (style, verb) = match change.kind() {
        ChangeKind::Unspecified => (paint::FAINT, "changed"),
        ChangeKind::Created => (paint::GOOD, "created"),
        ChangeKind::Updated => (paint::REFUSED, "changed"),
        ChangeKind::Deleted => (paint::BAD, "deleted"),
    };
    let (thing, name, id) = match &change.resource {
        Some(Resource::Tree(tree)) => ("tree", &*tree.title, &*tree.tree_id),
        Some(Resource::Folder(folder)) => ("folder", &*folder.name, &*folder.folder_id),
        Some(Resource::Category(category)) => ("category", &*category.name, &*category.category_id),
        None => ("something", "", ""),
    };
    let text = format!("{} {thing:8}  {}  {}", paint::styled(style, verb), id, clean::line(name));
    text.trim_end().to_owned()
}
