//! One stream's view of the log.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep_until},
};
use transport::page_token::PageTokens;

use super::feed::{Ears, Entry, MOST_OF_ONE, Said};
use crate::{
    app::{context::App, error::AppError},
    domain::change::{Change, ChangeKind, Resource, ResourceId},
    storage::{ChangeKey, Store},
};

/// A change as one reader is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// As it is now.
    Created(Resource),
    /// As it is now.
    Updated(Resource),
    Deleted(ResourceId),
}

/// Follows the log for one reader.
///
/// It holds a place in the log and at most one batch of it: a receiver that is slow is behind, and
/// reads from its place on when it comes again.
pub(crate) struct Following {
    store: Arc<dyn Store>,
    tokens: PageTokens,
    reader: String,
    ears: Ears,
    /// Up to where everything was told.
    place: ChangeKey,
    /// Whether there may be changes after that place that the ears did not hear.
    behind: bool,
    /// What was read of the log, and is not told yet. What has become of it is asked when it is told.
    pub(super) batch: VecDeque<(ChangeKey, ResourceId, ChangeKind)>,
    /// Where the place is when the batch is told.
    until: Option<ChangeKey>,
    /// When a sign of life is due; at the beginning, at once.
    due: Instant,
}

impl Following {
    /// From `place` on, or from the end of the log.
    pub(super) async fn begin(
        app: &App,
        reader: String,
        place: Option<ChangeKey>,
    ) -> Result<Self, AppError> {
        // The ears come first: whatever is written after the log is read is heard.
        let ears = app.feed.listen(&reader);
        let ears = ears.ok_or(AppError::TooManyStreams { most: MOST_OF_ONE })?;
        let behind = place.is_some();
        let place = match place {
            Some(place) => {
                let known = app.store.changes(Some(&reader), &place, 1).await?;
                known.map(|_| place).ok_or(AppError::CursorExpired)?
            }
            None => app.store.last_change().await?,
        };
        Ok(Self {
            store: Arc::clone(&app.store),
            tokens: app.page_tokens.clone(),
            reader,
            ears,
            place,
            behind,
            batch: VecDeque::new(),
            until: None,
            due: Instant::now(),
        })
    }

    /// What is to be told next, as soon as there is something, and the cursor after it. No change is
    /// a sign of life.
    pub(crate) async fn next(&mut self) -> Result<(Option<Told>, String), AppError> {
        loop {
            if *self.ears.closed.borrow() {
                return Err(AppError::Stopping);
            }
            // The first response is a cursor alone; later ones are due when nothing else was told.
            if self.due <= Instant::now() {
                return Ok(self.tell(None));
            }
            if let Some((place, what, kind)) = self.batch.front().cloned() {
                let now = self.store.resource(what).await?;
                self.batch.pop_front();
                self.place = place;
                return Ok(self.tell(Some(told(kind, what, now, &self.reader))));
            }
            if let Some(until) = self.until.take() {
                self.place = until;
            }
            if self.behind {
                self.read().await?;
                continue;
            }
            tokio::select! {
                said = self.ears.said.recv() => {
                    if let Some(told) = self.hear(said) {
                        return Ok(self.tell(Some(told)));
                    }
                }
                () = sleep_until(self.due) => {}
                // The feed lives as long as whoever serves this.
                _ = self.ears.closed.changed() => {}
            }
        }
    }

    fn hear(&mut self, said: Result<Said, RecvError>) -> Option<Told> {
        match said {
            Ok(Said::Change(entry)) => {
                let Entry { key, change, now, as_of } = &*entry;
                if key.seq <= self.place.seq {
                    return None;
                }
                // Who comes for it late is told of what there is by then.
                if as_of.elapsed() > FRESH {
                    self.behind = true;
                    return None;
                }
                self.place = key.clone();
                let kind = change.to(&self.reader)?;
                Some(told(kind, change.what, now.clone(), &self.reader))
            }
            Ok(Said::From(seq)) => {
                self.behind |= seq > self.place.seq;
                None
            }
            Err(RecvError::Lagged(_)) => {
                self.behind = true;
                None
            }
            Err(RecvError::Closed) => None,
        }
    }

    /// Reads the next piece of the log from the place on.
    async fn read(&mut self) -> Result<(), AppError> {
        let read = self.store.changes(Some(&self.reader), &self.place, AT_ONCE).await?;
        let read = read.ok_or(AppError::CursorExpired)?;
        self.behind = i64::try_from(read.changes.len()).is_ok_and(|count| count >= AT_ONCE);
        let folded = folded(read.changes, &self.reader);
        self.batch.extend(folded.into_iter().map(|(key, change, kind)| (key, change.what, kind)));
        self.until = Some(read.until);
        Ok(())
    }

    fn tell(&mut self, told: Option<Told>) -> (Option<Told>, String) {
        self.due = Instant::now() + HEARTBEAT;
        let key = (self.place.seq, &self.place.mark);
        (told, self.tokens.seal(&scope(&self.reader), &key))
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What a cursor is good for.
pub(super) fn scope(reader: &str) -> (&'static str, &str) {
    ("WatchChanges", reader)
}

/// Each thing once, where it was changed last: as created if it was created on the way.
fn folded(changes: Vec<(ChangeKey, Change)>, reader: &str) -> Vec<(ChangeKey, Change, ChangeKind)> {
    let mut last: HashMap<ResourceId, (i64, bool)> = HashMap::new();
    for (key, change) in &changes {
        let created = change.to(reader) == Some(ChangeKind::Created);
        let (seq, before) = last.entry(change.what).or_default();
        (*seq, *before) = (key.seq, *before || created);
    }
    let whole = changes.into_iter().filter_map(|(key, change)| {
        let &(seq, created) = last.get(&change.what)?;
        let kind = change.to(reader)?;
        let kind = if created && kind == ChangeKind::Updated { ChangeKind::Created } else { kind };
        (seq == key.seq).then_some((key, change, kind))
    });
    whole.collect()
}

/// A change is told as what it came to: of what the reader does not find now, however it was
/// changed, no more than its id is told.
fn told(kind: ChangeKind, what: ResourceId, now: Option<Resource>, reader: &str) -> Told {
    match now.filter(|now| now.is_found_by(reader)) {
        None => Told::Deleted(what),
        Some(now) => {
            let now = now.seen_by(reader);
            if kind == ChangeKind::Created { Told::Created(now) } else { Told::Updated(now) }
        }
    }
}

const AT_ONCE: i64 = 100;
/// For how long what was read of a thing is told as what it is now.
const FRESH: Duration = Duration::from_secs(1);
/// After how long without a change a receiver is told how far it has come.
const HEARTBEAT: Duration = Duration::from_secs(30);
