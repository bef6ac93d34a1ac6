//! Telling callers what changes.
//!
//! The log of the database is read once for everybody who follows ([`Feed`]); who comes late or
//! falls behind reads it from their own place on ([`Following`]).

mod feed;
mod following;

#[cfg(test)]
mod tests;

use std::time::Duration;

use token::clock::Timestamp;
use tokio::sync::watch;

use super::{context::App, error::AppError};
use crate::{
    domain::{caller::Caller, policy::Action, violation::Violation},
    storage::{ChangeKey, StoreError},
};

pub(super) use self::feed::Feed;
pub(crate) use self::following::{Following, Told};

impl App {
    /// Follows what changes of all that the caller may read, from `cursor` on, or from now on if it
    /// is empty.
    pub(crate) async fn watch_changes(
        &self,
        caller: &Caller,
        cursor: &str,
    ) -> Result<Following, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let reader = caller.user_id.clone();
        let place = match self.page_tokens.open(&following::scope(&reader), cursor) {
            Ok(place) => place.map(|(seq, mark)| ChangeKey { seq, mark }),
            // Of another database perhaps, whose key was another one.
            Err(_) if self.page_tokens.looks_like_one(cursor) => {
                return Err(AppError::CursorExpired);
            }
            Err(_) => {
                let mend = "must be the cursor of an earlier response";
                return Err(Violation::new("cursor", mend).into());
            }
        };
        Following::begin(self, reader, place).await
    }

    /// Tells those who follow, for as long as it is polled.
    pub(crate) async fn keep_telling(&self) {
        self.feed.keep_reading(&*self.store).await;
    }

    /// Ends every stream, so that a server that stops does not wait for them.
    pub(crate) fn end_streams(&self) {
        self.feed.close();
    }

    /// Becomes true when streams are to end.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.feed.closed()
    }

    /// Forgets the changes that are kept no longer, batch by batch, so that writers get their turn
    /// between them; answers how many there were.
    pub(crate) async fn trim_changes(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut trimmed = 0;
        loop {
            let batch = self.store.trim_changes(oldest_kept(now), TRIMMED_AT_ONCE).await?;
            trimmed += batch;
            if batch < TRIMMED_AT_ONCE.unsigned_abs() {
                return Ok(trimmed);
            }
        }
    }

    /// Trims, also imports, now and every hour. What fails is tried again an hour later.
    pub(crate) async fn keep_trimming(&self) {
        let mut rounds = tokio::time::interval(INTERVAL);
        loop {
            rounds.tick().await;
            match self.trim_changes().await {
                Ok(0) => {}
                Ok(changes) => tracing::info!(changes, "removed old changes from the log"),
                Err(error) => tracing::warn!(%error, "old changes could not be removed"),
            }
            if let Err(error) = self.trim_imports().await {
                tracing::warn!(%error, "old imports could not be forgotten");
            }
        }
    }
}

fn oldest_kept(now: Timestamp) -> Timestamp {
    now - KEPT
}

/// How long a change is told to those who come late.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
const TRIMMED_AT_ONCE: i64 = 1_000;
const INTERVAL: Duration = Duration::from_secs(3_600);
