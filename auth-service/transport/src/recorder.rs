//! An observer that remembers, for demonstrations, benchmarks and tests that count.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::{sync::watch, time::Instant};
use tonic::Code;
use trace_context::{SpanId, TraceContext};

use crate::observe::{Ended, Observer};

/// An RPC that a server has answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// The method alone, without its service.
    pub method: String,
    /// How it ended.
    pub code: Code,
    /// When it ended.
    pub at: Instant,
    /// The span that it was.
    pub span: Option<TraceContext>,
    /// The span that its request came from.
    pub parent: Option<SpanId>,
}

/// Keeps every RPC that a server answers, in the order in which they ended. It grows with every
/// call: not for a server that runs for long.
#[derive(Debug)]
pub struct Recorder {
    seen: Mutex<Vec<Seen>>,
    changed: watch::Sender<()>,
}

impl Recorder {
    /// Nothing has been seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self { seen: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Takes what was seen since the last time.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen())
    }

    /// How many calls of `method` have ended with `code` since the last [`Recorder::take`].
    #[must_use]
    pub fn count(&self, method: &str, code: Code) -> usize {
        self.seen().iter().filter(|seen| seen.method == method && seen.code == code).count()
    }

    /// Resolves once `calls` calls of `method` have ended since the last [`Recorder::take`].
    pub async fn ended(&self, method: &str, calls: usize) {
        let mut changed = self.changed.subscribe();
        while self.seen().iter().filter(|seen| seen.method == method).count() < calls {
            // The sender lives as long as `self`, so this waits for the next call.
            let _ = changed.changed().await;
        }
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Recorder {
    fn ended(&self, rpc: &Ended<'_>) {
        let method = rpc.method.rsplit('/').next().unwrap_or_default().to_owned();
        let (span, parent) = (rpc.span, rpc.parent);
        self.seen().push(Seen { method, code: rpc.code, at: Instant::now(), span, parent });
        self.changed.send_replace(());
    }
}
