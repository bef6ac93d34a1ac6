//! Leaving: how long the calls under way may go on.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};

/// How long the calls under way may go on once a server is told to stop.
#[derive(Clone, Debug)]
pub struct Drain {
    grace: Duration,
    hurry: watch::Receiver<bool>,
}

impl Drain {
    /// For so long at the most.
    #[must_use]
    pub fn within(grace: Duration) -> Self {
        // A sender that is gone hurries nobody.
        Self { grace, hurry: watch::channel(false).1 }
    }

    /// The same, and no longer once `hurry` says true.
    #[must_use]
    pub fn unless(self, hurry: watch::Receiver<bool>) -> Self {
        Self { hurry, ..self }
    }

    /// Resolves when the calls under way are to be cut, if draining begins now.
    pub(crate) async fn over(mut self) {
        tokio::select! {
            () = sleep(self.grace) => {}
            Ok(_) = self.hurry.wait_for(|hurry| *hurry) => {}
        }
    }
}

/// The default: twice what a request may live, and less than what is usually waited for before a
/// process is killed (30 s by Kubernetes, 90 s by systemd).
pub const GRACE: Duration = Duration::from_secs(20);
