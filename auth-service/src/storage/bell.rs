//! Telling that something was revoked, and nothing more.

use tokio::sync::watch;

/// Rung after a revocation was committed. Whoever hears it reads what was revoked, so rings that
/// come while nobody listens count as one, and one too many does no harm.
#[derive(Clone, Debug, Default)]
pub(super) struct Bell(watch::Sender<()>);

impl Bell {
    pub(super) fn ring(&self) {
        self.0.send_replace(());
    }

    /// Hears every ring from now on.
    pub(super) fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
