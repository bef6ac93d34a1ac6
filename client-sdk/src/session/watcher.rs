//! What another process does to the store, noticed without a call.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, task::JoinHandle};

use super::{Saved, Session, Shared};
use crate::{
    AuthenticationError,
    store::{StoreErrorKind, StoreWatch},
};

/// The task that watches the store.
#[derive(Debug, Default)]
pub(super) enum Watcher {
    /// Nobody else has the store.
    #[default]
    Needless,
    /// There was no runtime to run it.
    Wanted,
    Running(JoinHandle<()>),
}

impl Watcher {
    /// Starts the task with a `watch` that was made before the store was read. Without a runtime it
    /// waits for [`Self::keep`].
    pub(super) fn start(&mut self, shared: &Arc<Shared>, watch: Box<dyn StoreWatch>) {
        self.spawn(shared, watch, false);
    }

    /// Starts the task again where it is missing, since there was no runtime or that is gone. What
    /// happened meanwhile is then taken over first.
    pub(super) fn keep(&mut self, shared: &Arc<Shared>) {
        match self {
            Self::Needless => {}
            Self::Running(task) if !task.is_finished() => {}
            Self::Wanted | Self::Running(_) => self.spawn(shared, shared.store.watch(), true),
        }
    }

    fn spawn(&mut self, shared: &Arc<Shared>, watch: Box<dyn StoreWatch>, late: bool) {
        *self = match Handle::try_current() {
            Ok(runtime) => {
                let task = follow(Arc::downgrade(shared), shared.epochs(), watch, late);
                Self::Running(runtime.spawn(task))
            }
            Err(_) => Self::Wanted,
        };
    }
}

/// Runs until the last clone of the session is gone.
async fn follow(
    shared: Weak<Shared>,
    mut epochs: watch::Receiver<u64>,
    mut watch: Box<dyn StoreWatch>,
    mut late: bool,
) {
    loop {
        if !std::mem::take(&mut late) {
            tokio::select! {
                biased;
                // The sender lives in the session.
                _ = epochs.wait_for(|_| false) => return,
                () = watch.changed() => {}
            }
        }
        while let Some(shared) = shared.upgrade() {
            match take_over(shared).await {
                Ok(()) => break,
                // Whoever holds the lock may be about to change the store once more, or not.
                Err(AuthenticationError::Store { kind: StoreErrorKind::Busy, .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "the store changed and cannot be read");
                    break;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Does as [`Session::reload`] does, if there is something to take over: most changes are our own.
async fn take_over(shared: Arc<Shared>) -> Result<(), AuthenticationError> {
    let stored = shared.store.load().await?;
    let held = shared.gate().held.clone();
    let known = match (&held, &stored) {
        (Some(held), _) if !matches!(held.saved, Saved::Yes) => true,
        (Some(held), Some(record)) => held.pair.same_tokens(&record.pair),
        (None, None) => true,
        (None, Some(record)) => shared.has_left(record),
        (Some(_), None) => false,
    };
    if known { Ok(()) } else { Session { shared }.reload().await }
}

/// Between two attempts to get a lock that is held for long.
const PAUSE: Duration = Duration::from_secs(1);
