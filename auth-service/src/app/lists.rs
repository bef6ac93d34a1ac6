//! Lists, a page at a time, and those of administrators.

use serde::Serialize;
use token::clock::Timestamp;
use uuid::Uuid;

use crate::{
    app::{audit::Administrator, context::App, error::AppError},
    domain::{
        audit::{AuditEvent, EventKind},
        listing::{EventFilter, EventPosition, NameRange, UserSummary, page_size},
        user::Status,
    },
};

/// Some items of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Empty on the last page.
    pub(crate) next_token: String,
}

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRequest<'a> {
    pub(crate) size: i32,
    /// Empty for the first page.
    pub(crate) token: &'a str,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventRequest {
    pub(crate) filter: EventFilter,
    /// The instant before which they happened.
    pub(crate) until: Option<Timestamp>,
}

impl App {
    /// The users whose names begin so, of one status if it is given, by name.
    pub(crate) async fn list_users(
        &self,
        by: Administrator,
        page: PageRequest<'_>,
        prefix: &str,
        status: Option<Status>,
    ) -> Result<Page<UserSummary>, AppError> {
        let size = size_of(page, MAX_PAGE_SIZE)?;
        let names = NameRange::beginning_with(prefix).map_err(|mend| AppError::FieldInvalid {
            field: "username_prefix",
            mend: mend.into(),
        })?;
        let scope = ("ListUsers", by.actor.to_string(), &names.from, status.map(Status::as_str));
        let after: Option<String> = self.page_tokens.open(&scope, page.token)?;
        let names_left = match &after {
            Some(key) => names.clone().after(key),
            None => names.clone(),
        };
        // One more than asked for tells whether there is a next page.
        let users = self.store.list_users(&names_left, status, size + 1).await?;
        Ok(self.page(&scope, size, users, UserSummary::key))
    }

    /// The events that are asked for, newest first.
    pub(crate) async fn list_events(
        &self,
        by: Administrator,
        page: PageRequest<'_>,
        request: &EventRequest,
    ) -> Result<Page<AuditEvent>, AppError> {
        let size = size_of(page, MAX_PAGE_SIZE)?;
        let EventRequest { filter, until } = request;
        let scope = (
            "ListAuditEvents",
            by.actor.to_string(),
            filter.kind.map(EventKind::as_str),
            filter.account,
            filter.session.map(|session| session.0),
            filter.since.map(Timestamp::unix_millis),
            until.map(Timestamp::unix_millis),
        );
        let before: Option<(i64, Uuid)> = self.page_tokens.open(&scope, page.token)?;
        let before = match before {
            Some((millis, id)) => EventPosition { time: Timestamp::from_unix_millis(millis), id },
            None => EventPosition::end(*until),
        };
        // What this instance has recorded of what changed nothing.
        self.audit.flush().await;
        let events = self.store.list_events(filter, before, size + 1).await?;
        Ok(self.page(&scope, size, events, |event| (event.time.unix_millis(), event.id)))
    }

    /// Of one item more than fit into the page, those that do, and where the next page begins.
    pub(super) fn page<T, K: Serialize>(
        &self,
        scope: &impl Serialize,
        size: u32,
        mut items: Vec<T>,
        key: impl FnOnce(&T) -> K,
    ) -> Page<T> {
        let more = items.len() > size as usize;
        items.truncate(size as usize);
        let last = items.last().filter(|_| more);
        let next_token =
            last.map(|last| self.page_tokens.seal(scope, &key(last))).unwrap_or_default();
        Page { items, next_token }
    }
}

/// How many items a page holds: as many as are asked for, or as it may have at the most.
pub(super) fn size_of(page: PageRequest<'_>, most: u32) -> Result<u32, AppError> {
    page_size(page.size, most)
        .map_err(|mend| AppError::FieldInvalid { field: "page_size", mend: mend.into() })
}

const MAX_PAGE_SIZE: u32 = 500;
