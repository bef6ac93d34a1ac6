//! What an application listens to, in order to show a login.

use super::SignOutReason;
use crate::sync::broadcast::{Receiver, error::RecvError};

/// Something that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The access token was renewed, here or by another process that shares the store.
    Refreshed,
    /// A refresh did not get through, or a session's own credentials were rejected. The session is
    /// kept.
    RefreshFailing {
        /// How the last attempt failed.
        message: String,
    },
    /// The tokens are good but could not be saved. Calls go on; the session asks for no further pair
    /// until these are in the store.
    SaveFailed {
        /// What the store said.
        message: String,
    },
    /// Somebody signed in.
    SignedIn,
    /// The session is over.
    SignedOut {
        /// How it came to that.
        reason: SignOutReason,
    },
}

/// A subscription to a session's events, from the moment it was made.
///
/// It never holds a session up: a subscriber that falls far behind misses the oldest events and
/// still gets the newest.
#[derive(Debug)]
pub struct Events(pub(super) Receiver<Event>);

impl Events {
    /// The next event; `None` once every clone of the session is gone.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event, if it has already happened.
    pub fn try_recv(&mut self) -> Option<Event> {
        use crate::sync::broadcast::error::TryRecvError;
        loop {
            match self.0.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}

/// How many events a subscriber may fall behind.
pub(super) const BACKLOG: usize = 64;
