//! Who is to be told that a session whose stream goes on has ended.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::Notify;

use crate::guard::caller::Caller;

/// The streams that go on, found by their session and by their account.
#[derive(Default)]
pub(super) struct OpenStreams(Mutex<HashMap<Box<str>, Vec<Weak<Notify>>>>);

impl OpenStreams {
    /// Wakes the streams of this session or account.
    pub(super) fn wake(&self, id: &str) {
        for stream in self.lock().get(id).into_iter().flatten() {
            if let Some(stream) = stream.upgrade() {
                stream.notify_one();
            }
        }
    }

    /// Wakes every stream.
    pub(super) fn wake_all(&self) {
        for stream in self.lock().values().flatten() {
            if let Some(stream) = stream.upgrade() {
                stream.notify_one();
            }
        }
    }

    pub(super) fn enter(&self, caller: &Caller) -> Arc<Notify> {
        let stream = Arc::new(Notify::new());
        let mut streams = self.lock();
        for id in [&caller.session_id, &caller.user_id] {
            streams.entry(id.as_str().into()).or_default().push(Arc::downgrade(&stream));
        }
        stream
    }

    pub(super) fn leave(&self, caller: &Caller, stream: &Arc<Notify>) {
        let mut streams = self.lock();
        for id in [&caller.session_id, &caller.user_id] {
            if let Some(open) = streams.get_mut(id.as_str()) {
                open.retain(|other| other.as_ptr() != Arc::as_ptr(stream));
                if open.is_empty() {
                    streams.remove(id.as_str());
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<Weak<Notify>>>> {
        // Each change is one call on the map or a list: a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

impl fmt::Debug for OpenStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStreams").finish_non_exhaustive()
    }
}
